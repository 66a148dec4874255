package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/chaos"
)

// Shorthands for histories: what was called and returned when, and how it ended.
func made(kind chaos.Kind, marker string, version uint64) chaos.Operation {
	return chaos.Operation{Kind: kind, Marker: marker, Outcome: chaos.Acknowledged, Version: version}
}

func saw(kind chaos.Kind, marker string, version uint64) chaos.Operation {
	return chaos.Operation{Kind: kind, Shown: marker, Outcome: chaos.Acknowledged, Version: version}
}

func lost(kind chaos.Kind, marker string) chaos.Operation {
	return chaos.Operation{Kind: kind, Marker: marker, Outcome: chaos.Unknown}
}

func refused(kind chaos.Kind, code string) chaos.Operation {
	return chaos.Operation{Kind: kind, Outcome: chaos.Refused, Code: code}
}

func given(o chaos.Operation, version uint64) chaos.Operation {
	o.IfVersion = version
	return o
}

// oneAfterTheOther gives each operation its place in time.
func oneAfterTheOther(operations ...chaos.Operation) []chaos.Operation {
	for n := range operations {
		operations[n].Call, operations[n].Return = time.Duration(1+2*n), time.Duration(2+2*n)
		operations[n].From = operations[n].Call
		operations[n].Request = fmt.Sprint("request ", n+1)
	}
	return operations
}

func TestAHistoryThatAnOrderExplainsIsLegal(t *testing.T) {
	late := oneAfterTheOther(made(chaos.Create, "a", 1), lost(chaos.Update, "b"), saw(chaos.Look, "a", 1), saw(chaos.Look, "b", 2), made(chaos.Update, "c", 3))
	twice := oneAfterTheOther(made(chaos.Create, "a", 1), given(made(chaos.Update, "b", 2), 1), saw(chaos.Get, "a", 1))
	twice[2].From = twice[0].Call // a read that named no later position may be behind
	race := oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "c", 3), made(chaos.Update, "b", 2))
	race[1].Return = race[2].Return
	for name, history := range map[string][]chaos.Operation{
		"each sees the one before":               oneAfterTheOther(made(chaos.Create, "a", 1), saw(chaos.Get, "a", 1), made(chaos.Delete, "", 0), refused(chaos.Get, "integration_not_found"), made(chaos.Create, "b", 3)),
		"two at once in either order":            race,
		"one without an answer was made later":   late,
		"one without an answer was never made":   oneAfterTheOther(made(chaos.Create, "a", 1), lost(chaos.Delete, ""), made(chaos.Update, "b", 2)),
		"a get may be behind what it asks for":   twice,
		"a refusal that does not show the state": oneAfterTheOther(refused(chaos.Create, "event_log_unavailable"), made(chaos.Create, "a", 1)),
		"what is refused is refused for a cause": oneAfterTheOther(made(chaos.Create, "a", 1), refused(chaos.Create, "name_taken"), given(refused(chaos.Update, "version_mismatch"), 7)),
	} {
		require.NoError(t, chaos.CheckLinearizable(t, "crm", history, t.TempDir()), name)
	}
}

func TestWhatNoOrderExplainsIsNamed(t *testing.T) {
	history := oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 2), saw(chaos.Look, "a", 1), saw(chaos.Look, "b", 2))
	require.ErrorContains(t, chaos.CheckLinearizable(t, "crm", history, t.TempDir()), "Request:request 3 ")
}

func TestAHistoryThatNoOrderExplainsIsIllegal(t *testing.T) {
	old := oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 2), saw(chaos.Get, "a", 1))
	old[2].From, old[2].AtLeast = old[0].Call, 2
	for name, history := range map[string][]chaos.Operation{
		"an update is lost":                      oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 2), saw(chaos.Look, "a", 1)),
		"an update is overwritten unseen":        oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 2), made(chaos.Update, "c", 2)),
		"a version is left out":                  oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 3)),
		"If-Match did not guard":                 oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Update, "b", 2), given(made(chaos.Update, "c", 3), 1)),
		"what was deleted is there":              oneAfterTheOther(made(chaos.Create, "a", 1), made(chaos.Delete, "", 0), saw(chaos.Look, "a", 1)),
		"what was created is not there":          oneAfterTheOther(made(chaos.Create, "a", 1), refused(chaos.Update, "integration_not_found")),
		"one without an answer was made twice":   oneAfterTheOther(made(chaos.Create, "a", 1), lost(chaos.Update, "b"), saw(chaos.Look, "b", 2), made(chaos.Update, "c", 3), saw(chaos.Look, "b", 4)),
		"one without an answer, seen and undone": oneAfterTheOther(made(chaos.Create, "a", 1), lost(chaos.Update, "b"), saw(chaos.Look, "b", 2), saw(chaos.Look, "a", 1)),
		"seen before it was asked for":           oneAfterTheOther(made(chaos.Create, "a", 1), saw(chaos.Look, "b", 2), lost(chaos.Update, "b")),
		"a get is older than what was shown":     old,
	} {
		dir := t.TempDir()
		require.ErrorContains(t, chaos.CheckLinearizable(t, "crm", history, dir), "no order", name)
		picture, err := os.ReadFile(filepath.Join(dir, "crm.html"))
		require.NoError(t, err)
		require.Contains(t, string(picture), "<html", name)
	}
}
