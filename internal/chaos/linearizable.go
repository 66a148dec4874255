package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/internal/peers"
)

// State is one integration. Without a marker it does not exist; its versions continue
// all the same.
type State struct {
	Version uint64
	Marker  string
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
//
// The checker is test/servers/linearizable.
func CheckLinearizable(t testing.TB, name string, operations []Operation, dir string) error {
	t.Helper()
	history, err := json.Marshal(struct {
		Name       string
		Operations []Operation
		Dir        string
	}{name, operations, dir})
	if err != nil {
		return err
	}
	check := exec.CommandContext(t.Context(), peers.Build(t, "linearizable"))
	check.Stdin = bytes.NewReader(history)
	out, err := check.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return errors.New(strings.TrimSpace(string(out)))
	}
	return err
}

// Step returns whether an operation can have been answered so in this state, and
// the state after it. One whose outcome is unknown takes effect if it can: one
// that never did comes after everything else, where nobody sees it.
func (s State) Step(o Operation) (bool, State) {
	after, refusal := s.apply(o)
	switch o.Outcome {
	case Unknown:
		return true, after
	case Refused:
		return o.Code == refusal && s.Version >= o.AtLeast, s
	case Acknowledged:
	}
	if !o.Kind.Writes() {
		return s == State{o.Version, o.Shown} && s.Version >= o.AtLeast, s
	}
	return refusal == "" && (o.Kind == Delete || o.Version == after.Version), after
}

// The refusals that show the state of the integration.
const (
	nameTaken = "name_taken"
	notFound  = "integration_not_found"
	stale     = "version_mismatch"
)

// ShowsState reports whether a refusal shows the state of the integration.
func ShowsState(code string) bool { return code == nameTaken || code == notFound || code == stale }

// apply returns the state after an operation, or the code that refuses it.
func (s State) apply(o Operation) (State, string) {
	exists := s.Marker != ""
	switch {
	case o.Kind == Create && exists:
		return s, nameTaken
	case o.Kind != Create && !exists:
		return s, notFound
	case o.IfVersion != 0 && o.IfVersion != s.Version:
		return s, stale
	}
	switch o.Kind {
	case Create, Update:
		return State{s.Version + 1, o.Marker}, ""
	case Delete:
		return State{Version: s.Version + 1}, ""
	case Look, Get:
	}
	return s, ""
}
