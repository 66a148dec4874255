package chaos

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is one integration. Without a marker it does not exist; its versions go
// on counting all the same.
type state struct {
	version uint64
	marker  string
}

// CheckLinearizable looks for an order of the operations on one integration that
// explains every answer: each operation takes effect at once, between its call
// and its return, and one whose outcome is unknown at any time after its call, or
// never. It returns an error when there is none, with a picture of the history
// in dir, or when none was found within a minute.
//
// Writes, refusals and Looks go by the log. A Get goes by the read model, which
// may be a moment behind: it is held to what ADR 8 promises, the state at the
// position that it names or a later one, and never an older version than was
// acknowledged or shown before.
func CheckLinearizable(name string, operations []Operation, dir string) error {
	history := make([]porcupine.Operation, 0, len(operations))
	same := map[Operation]int{} // where in history a Get that was answered so is
	for _, o := range operations {
		from, to := o.Call, int64(o.Return)
		switch {
		case o.Outcome == Unknown && o.Kind.Writes():
			to = math.MaxInt64
		case o.Outcome == Unknown, o.Outcome == Refused && !tells(o.Code):
			continue // it says nothing
		case o.Kind == Get:
			// Of those that may show the same moments, the first to return is the
			// hardest to explain, and it explains the others.
			from = min(o.From, o.Call)
			answer := o
			answer.Client, answer.Request, answer.Call, answer.Return = 0, "", from, 0
			if n, told := same[answer]; told {
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
		return fmt.Errorf("%s: whether an order explains its %d operations could not be told within a minute", name, len(history))
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
func unexplained(history []porcupine.Operation, found porcupine.LinearizationInfo) (first Operation) {
	explained := map[string]bool{}
	for _, orders := range found.PartialLinearizationsOperations() {
		for _, order := range orders {
			if len(order) <= len(explained) {
				continue
			}
			clear(explained)
			for _, o := range order {
				explained[o.Input.(Operation).Request] = true
			}
		}
	}
	until := int64(math.MaxInt64)
	for _, o := range history {
		if left := o.Input.(Operation); !explained[left.Request] && o.Return < until {
			first, until = left, o.Return
		}
	}
	return first
}

func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(before, input, _ any) (bool, any) { return before.(state).step(input.(Operation)) },
		DescribeOperation: func(input, _ any) string {
			o := input.(Operation)
			return fmt.Sprintf("%s %s if %d: %s %s v%d %s", o.Kind, o.Marker, o.IfVersion, o.Outcome, o.Code, o.Version, o.Shown)
		},
		DescribeState: func(s any) string { return fmt.Sprintf("v%d %q", s.(state).version, s.(state).marker) },
	}
}

// step returns whether an operation can have been answered so in this state, and
// the state after it. One whose outcome is unknown takes effect if it can: one
// that never did comes after everything else, where nobody sees it.
func (s state) step(o Operation) (bool, state) {
	after, refusal := s.apply(o)
	switch o.Outcome {
	case Unknown:
		return true, after
	case Refused:
		return o.Code == refusal && s.version >= o.AtLeast, s
	case Acknowledged:
	}
	if !o.Kind.Writes() {
		return s == state{o.Version, o.Shown} && s.version >= o.AtLeast, s
	}
	return refusal == "" && (o.Kind == Delete || o.Version == after.version), after
}

// The refusals that say something of the integration.
const (
	nameTaken = "name_taken"
	notFound  = "integration_not_found"
	stale     = "version_mismatch"
)

func tells(code string) bool { return code == nameTaken || code == notFound || code == stale }

// apply returns the state after an operation, or the code that refuses it.
func (s state) apply(o Operation) (state, string) {
	exists := s.marker != ""
	switch {
	case o.Kind == Create && exists:
		return s, nameTaken
	case o.Kind != Create && !exists:
		return s, notFound
	case o.IfVersion != 0 && o.IfVersion != s.version:
		return s, stale
	}
	switch o.Kind {
	case Create, Update:
		return state{s.version + 1, o.Marker}, ""
	case Delete:
		return state{version: s.version + 1}, ""
	case Look, Get:
	}
	return s, ""
}
