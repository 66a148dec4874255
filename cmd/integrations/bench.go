package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/bench"
)

// benchCommand measures the service beside the limit of what it is built on, in
// processes and a folder of its own.
type benchCommand struct {
	Rows        []string `help:"Rows, or groups of them such as creates; by default all."`
	Size        int      `help:"Integrations of the service that reads are measured on." default:"20000"`
	Seconds     float64  `help:"How long one repetition takes." default:"2"`
	Repetitions int      `help:"How often a figure and its limit are measured, in turns; at least 3." default:"3"`
	JSON        bool     `name:"json" help:"Write JSON."`
	Plot        string   `help:"File to write a picture to, in SVG: how each figure stands to its goal." type:"path"`
}

func (benchCommand) Help() string {
	return "Everything stays on this machine, in a temporary folder. A goal that is missed is marked and is no failure. The rows are " +
		strings.Join(bench.Names(), ", ") + "."
}

func (c benchCommand) Run(s streams) error {
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

// write writes what was measured, which may not be all.
func (c benchCommand) write(s streams, report bench.Report) error {
	if c.Plot != "" {
		if err := c.draw(report); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(report)
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

// benchLimitCommand is a process that stands beside the service in a bench.
type benchLimitCommand struct {
	Kind string `required:""`
	Data string `required:"" type:"path"`
}

func (c benchLimitCommand) Run(s streams) error { return bench.Stand(s.ctx, c.Kind, c.Data, s.err) }
