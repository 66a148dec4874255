package simulation_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutant is a fault that the service once had, or would have without one of its lines.
type mutant struct {
	name     string
	file     string // below the root
	old, new string
	seeds    string // from one to another, of the runs that find it
}

// mutants are faults that were found by harnesses with real servers before.
var mutants = []mutant{
	{
		"an append whose acknowledgement was lost is decided again", "eventstore/append.go",
		"		return last.Position, nil\n	case streams.IsConflict(cause):", "		return 0, ErrConflict\n	case streams.IsConflict(cause):", "1-1",
	},
	{
		"a repetition has another command id", "commands/idempotency.go",
		"	o.meta.CommandID = claim.CommandID\n", "", "2-2",
	},
	{
		"a refusal is decided on what a follower has", "commands/commands.go",
		"		if mayLag && (unseen || inVain) {", "		if _ = unseen; mayLag && inVain {", "4-4",
	},
	{
		"events are read, but what is not dispatched of them is not kept", "webhooks/checkpoint.go",
		"			at.Left[w] = left{After: q.done, Until: q.last}\n", "			_ = w\n", "1-1",
	},
	{
		"webhook destinations are taken for known", "webhooks/follow.go",
		"		if seen >= last {", "		if seen+1 > 0 && last+1 > 0 {", "40-40",
	},
	{
		"a position is claimed before it is shown", "projections/projector.go",
		"	err := p.Store.Apply(ctx, b)\n", "	p.advanceTo(b.Reached)\n	err := p.Store.Apply(ctx, b)\n", "8-8",
	},
}

// TestFaultsAreFound puts each fault back, in a copy of its file, and expects a run of its
// seeds to find it. SIMULATE_FAULTS=1 runs it; it compiles the service for each fault.
func TestFaultsAreFound(t *testing.T) {
	if os.Getenv("SIMULATE_FAULTS") == "" {
		t.Skip("SKIPPED: it compiles the service for each fault; run with SIMULATE_FAULTS=1")
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			binary := m.build(t)
			trial := exec.Command(binary, "-test.run", "^TestTheCorpusHasNoViolation$")
			trial.Env = append(os.Environ(), "SIMULATE_SEEDS="+m.seeds)
			out, err := trial.CombinedOutput()
			require.Error(t, err, "no run of the seeds %s finds it: %s", m.seeds, out)
			require.Contains(t, string(out), "VIOLATED", "%s", out)
		})
	}
}

// build compiles these tests with the fault.
func (m mutant) build(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	original := filepath.Join(root, m.file)
	text, err := os.ReadFile(original)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), m.old), "%s no longer has %q", m.file, m.old)
	folder := t.TempDir()
	changed, overlay, binary := filepath.Join(folder, "changed.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "test")
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600))
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replaced, 0o600))
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// TestFaultsAreOfTheCode fails when a fault can't be put back any more.
func TestFaultsAreOfTheCode(t *testing.T) {
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join("../..", m.file))
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), m.old), "%s: %s no longer has %q", m.name, m.file, m.old)
	}
}
