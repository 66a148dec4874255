// Command circles prints, for each package, how many files depend on each other in a
// circle: the largest strongly connected component of its files, where a file depends on
// another one when it uses a name that is declared there.
//
// Its promise: arrows are those of the type checker, and tests are left out.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "circles:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("circles", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON, with the files of each circle")
	if err := flags.Parse(args); err != nil {
		return err
	}
	patterns := flags.Args()
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	packages, err := measure(".", patterns...)
	if err != nil {
		return err
	}
	slices.SortStableFunc(packages, func(a, b pkg) int { return cmp.Compare(len(b.Circle), len(a.Circle)) })
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(packages)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "circle\tfiles\tarrows\tlines\tpackage\t")
	for _, p := range packages {
		_, _ = fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%s\t\n", len(p.Circle), p.Files, p.Arrows, p.Lines, p.Path)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(packages) == 1 && len(packages[0].Circle) > 1 {
		_, err = fmt.Fprintf(out, "\n%s\n", strings.Join(packages[0].Circle, " "))
	}
	return err
}
