// Linearizable checks the history of one integration, JSON on its standard input, by
// Porcupine. It exits with 1 and prints why when no order of the operations explains
// every answer.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed677028b5/integrations/internal/chaos"
)

func main() {
	var history struct {
		Name       string
		Operations []chaos.Operation
		Dir        string
	}
	err := json.NewDecoder(os.Stdin).Decode(&history)
	if err == nil {
		err = check(history.Name, history.Operations, history.Dir)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// check looks for an order of the operations on one integration that
// explains every answer: each operation takes effect at once, between its call
// and its return, and one whose outcome is unknown at any time after its call, or
// never. It returns an error when there is none, with a picture of the history
// in dir, or when none was found within a minute.
//
// Writes, refusals and Looks go by the log. A Get goes by the read model, which
// may be a moment behind: it is held to what ADR 8 promises, the state at the
// position that it names or a later one, and never an older version than was
// acknowledged or shown before.
func check(name string, operations []chaos.Operation, dir string) error {
	history := make([]porcupine.Operation, 0, len(operations))
	same := map[chaos.Operation]int{} // where in history a Get that was answered so is
	for _, o := range operations {
		from, to := o.Call, int64(o.Return)
		switch {
		case o.Outcome == chaos.Unknown && o.Kind.Writes():
			to = math.MaxInt64
		case o.Outcome == chaos.Unknown, o.Outcome == chaos.Refused && !chaos.ShowsState(o.Code):
			continue // it shows nothing
		case o.Kind == chaos.Get:
			// Of those that may show the same moments, the first to return is the
			// hardest to explain, and it explains the others.
			from = min(o.From, o.Call)
			answer := o
			answer.Client, answer.Request, answer.Call, answer.Return = 0, "", from, 0
			if n, known := same[answer]; known {
				history[n].Return = min(history[n].Return, to)
				continue
			}
			same[answer] = len(history)
		}
		history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: int64(from), Return: to})
	}
	result, found := porcupine.CheckOperationsVerbose(model(), history, time.Minute)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("%s: whether an order explains its %d operations is not known after a minute", name, len(history))
	case porcupine.Illegal:
	}
	picture := filepath.Join(dir, name+".html")
	return errors.Join(
		fmt.Errorf("%s: no order of its %d operations explains the answers, see %s; the first that none explains: %+v", name, len(history), picture, unexplained(history, found)),
		porcupine.VisualizePath(model(), found, picture),
	)
}

// unexplained returns the operation that returned first of those that the longest
// order leaves out.
func unexplained(history []porcupine.Operation, found porcupine.LinearizationInfo) (first chaos.Operation) {
	explained := map[string]bool{}
	for _, orders := range found.PartialLinearizationsOperations() {
		for _, order := range orders {
			if len(order) <= len(explained) {
				continue
			}
			clear(explained)
			for _, o := range order {
				explained[o.Input.(chaos.Operation).Request] = true
			}
		}
	}
	until := int64(math.MaxInt64)
	for _, o := range history {
		if left := o.Input.(chaos.Operation); !explained[left.Request] && o.Return < until {
			first, until = left, o.Return
		}
	}
	return first
}

func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return chaos.State{} },
		Step: func(before, input, _ any) (bool, any) { return before.(chaos.State).Step(input.(chaos.Operation)) },
		DescribeOperation: func(input, _ any) string {
			o := input.(chaos.Operation)
			return fmt.Sprintf("%s %s if %d: %s %s v%d %s", o.Kind, o.Marker, o.IfVersion, o.Outcome, o.Code, o.Version, o.Shown)
		},
		DescribeState: func(s any) string { return fmt.Sprintf("v%d %q", s.(chaos.State).Version, s.(chaos.State).Marker) },
	}
}
