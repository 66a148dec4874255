package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/internal/bench"
)

// benchCommand benchmarks the service, in processes and a folder of its own.
type benchCommand struct {
	Rows        []string `help:"Rows, or groups of rows such as creates; default: all."`
	Size        int      `help:"Number of integrations for the rows that read." default:"20000"`
	Seconds     float64  `help:"Duration of one repetition in seconds." default:"2"`
	Repetitions int      `help:"Repetitions of each figure and its limit, which alternate; at least 3." default:"3"`
	JSON        bool     `name:"json" help:"Write JSON."`
	Plot        string   `help:"File for a plot, in SVG, of each figure beside its goal." type:"path"`
}

func (benchCommand) Help() string {
	return "Everything stays on this machine, in a temporary folder. A missed goal is marked and is no failure. The rows are " +
		strings.Join(bench.Names(), ", ") + "."
}

func (c benchCommand) Run(s console) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.Run(s.ctx, bench.Config{
		Program: program, Rows: c.Rows, Size: c.Size, For: time.Duration(c.Seconds * float64(time.Second)), Repetitions: c.Repetitions, Progress: s.err,
	})
	if len(report.Rows) == 0 && err != nil {
		return err
	}
	return errors.Join(err, c.write(s, report))
}

// write writes the report, which may be incomplete.
func (c benchCommand) write(s console, report bench.Report) error {
	if c.Plot != "" {
		if err := c.draw(report); err != nil {
			return err
		}
	}
	if c.JSON {
		return s.writeJSON(report)
	}
	return report.WriteTable(s.out)
}

func (c benchCommand) draw(report bench.Report) error {
	file, err := os.Create(c.Plot)
	if err != nil {
		return err
	}
	return errors.Join(report.WritePlot(file), file.Close())
}

// benchLimitCommand is a process that a benchmark compares the service with.
type benchLimitCommand struct {
	Kind string `required:""`
	Data string `required:"" type:"path"`
}

func (c benchLimitCommand) Run(s console) error { return bench.Stand(s.ctx, c.Kind, c.Data, s.err) }
