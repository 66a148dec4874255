package transparency_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// A ledger is a log, its tree and the key of the service, all in the hands of one who has its
// disk.
type ledger struct {
	key     transparency.Key
	origin  string
	entries []transparency.Entry
	leaves  []transparency.Hash // as the tree has them
}

func newLedger(t *testing.T, random *rand.Rand, size int) *ledger {
	t.Helper()
	l := &ledger{key: newKey(t, 1), origin: transparency.OriginOf(transparency.Integrations, "ID")}
	for range size {
		l.append(random)
	}
	return l
}

// append records an event, as a service does.
func (l *ledger) append(random *rand.Rand) {
	position := uint64(len(l.entries) + 1)
	l.entries = append(l.entries, transparency.Entry{
		Subject: "integrations." + []string{"acme", "globex"}[random.IntN(2)] + ".1", Position: position, Time: time.Unix(1e9, int64(position)),
		Headers: map[string][]string{"ce-id": {fmt.Sprint(random.Uint64())}, "ce-type": {"integration.updated.v1"}},
		Data:    fmt.Appendf(nil, `{"name": "crm", "n": %d}`, random.Uint64()),
	})
	l.leaves = append(l.leaves, l.entries[position-1].Leaf())
}

// rehash makes the tree fit the log again.
func (l *ledger) rehash() {
	l.leaves = nil
	for n := range l.entries {
		l.entries[n].Position = uint64(n + 1)
		l.leaves = append(l.leaves, l.entries[n].Leaf())
	}
}

func (l *ledger) clone() *ledger {
	c := *l
	c.entries, c.leaves = slices.Clone(l.entries), slices.Clone(l.leaves)
	for n := range c.entries {
		c.entries[n].Data = slices.Clone(c.entries[n].Data)
	}
	return &c
}

// checkpoint signs the tree of the first messages.
func (l *ledger) checkpoint(size int) string {
	var edge transparency.Edge
	for _, leaf := range l.leaves[:size] {
		edge.Append(leaf, func(transparency.Tile) {})
	}
	signed, err := l.key.Sign(transparency.Checkpoint{Origin: l.origin, Size: uint64(size), Root: edge.Root()})
	if err != nil {
		panic(err)
	}
	return signed.Note
}

// export writes an export of a workspace, "" for all, as a service does.
func (l *ledger) export(workspace string, sizes []uint64) []byte {
	var out bytes.Buffer
	w, err := transparency.NewExportWriter(&out, transparency.Header{Log: transparency.Integrations, Checkpoint: l.checkpoint(len(l.leaves)), PublicKey: l.key.Public()})
	cover := func(to uint64) {
		_, size := w.Root()
		if err != nil || size >= to {
			return
		}
		err = transparency.Subtrees(size+1, to, sizes, func(from, to uint64) error {
			var sum transparency.Range
			for _, leaf := range l.leaves[from-1 : to] {
				if err := sum.Add(leaf, 1); err != nil {
					return err
				}
			}
			return w.Covered(transparency.Covered{From: from, To: to, Hash: sum.Root()})
		})
	}
	for _, e := range l.entries {
		if workspace == "" || e.Workspace() == workspace {
			if cover(e.Position - 1); err == nil {
				err = w.Entry(e)
			}
		}
	}
	cover(uint64(len(l.leaves)))
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

// A tampering changes a ledger that one earlier checkpoint is held of, or an export of it.
type tampering struct {
	kind   string
	ledger func(l *ledger, at, held int, random *rand.Rand)      // at is a position that is held
	export func(export []byte, at int, random *rand.Rand) []byte // nil: as it is written
	whole  bool                                                  // found in an export of everything only: that of a workspace has hashes from the tree
}

func tamperings(t *testing.T) []tampering {
	t.Helper()
	other := newKey(t, 9)
	flip := func(data []byte, random *rand.Rand) { data[random.IntN(len(data))] ^= 1 << random.IntN(8) }
	lines := func(export []byte) [][]byte { return bytes.SplitAfter(bytes.TrimSpace(export), []byte("\n")) }
	return []tampering{
		{kind: "a bit of a message is flipped", whole: true, ledger: func(l *ledger, at, _ int, random *rand.Rand) { flip(l.entries[at-1].Data, random) }},
		{kind: "a bit of a message is flipped, and the tree made again and signed", ledger: func(l *ledger, at, _ int, random *rand.Rand) {
			flip(l.entries[at-1].Data, random)
			l.rehash()
		}},
		{kind: "a bit of the tree is flipped", ledger: func(l *ledger, at, _ int, random *rand.Rand) { flip(l.leaves[at-1][:], random) }},
		{kind: "a time is changed, and the tree made again", ledger: func(l *ledger, at, _ int, _ *rand.Rand) {
			l.entries[at-1].Time = l.entries[at-1].Time.Add(time.Nanosecond)
			l.rehash()
		}},
		{kind: "the actor is changed, and the tree made again", ledger: func(l *ledger, at, _ int, _ *rand.Rand) {
			l.entries[at-1].Headers = map[string][]string{"ce-id": {"x"}}
			l.rehash()
		}},
		{kind: "the tail is dropped", ledger: func(l *ledger, at, _ int, _ *rand.Rand) {
			l.entries = l.entries[:at-1]
			l.rehash()
		}},
		{kind: "a message is removed, and the others move up", ledger: func(l *ledger, at, _ int, _ *rand.Rand) {
			l.entries = slices.Delete(l.entries, at-1, at)
			l.rehash()
		}},
		{kind: "two messages change places", ledger: func(l *ledger, at, held int, random *rand.Rand) {
			with := 1 + random.IntN(held)
			for with == at {
				with = 1 + random.IntN(held)
			}
			l.entries[at-1], l.entries[with-1] = l.entries[with-1], l.entries[at-1]
			l.rehash()
		}},
		{kind: "one message and all after it are replaced", ledger: func(l *ledger, at, _ int, random *rand.Rand) {
			size := len(l.entries)
			l.entries, l.leaves = l.entries[:at-1], l.leaves[:at-1]
			for len(l.entries) < size {
				l.append(random)
			}
		}},
		{kind: "everything is signed with another key", ledger: func(l *ledger, _, _ int, _ *rand.Rand) { l.key = other }},
		{kind: "an old backup is restored", ledger: func(l *ledger, at, _ int, _ *rand.Rand) {
			l.entries, l.leaves, l.origin = l.entries[:at-1], l.leaves[:at-1], transparency.OriginOf(transparency.Integrations, "RESTORED")
		}},
		{kind: "an old backup is restored and written to", ledger: func(l *ledger, at, held int, random *rand.Rand) {
			l.entries, l.leaves, l.origin = l.entries[:at-1], l.leaves[:at-1], transparency.OriginOf(transparency.Integrations, "RESTORED")
			for len(l.entries) < held+random.IntN(100) {
				l.append(random)
			}
		}},
		{kind: "a second service writes to a copy", ledger: func(l *ledger, at, held int, random *rand.Rand) {
			l.entries, l.leaves = l.entries[:at-1], l.leaves[:at-1]
			for len(l.entries) < held+random.IntN(100) {
				l.append(random)
			}
		}},
		{kind: "a bit of the export is flipped", export: func(export []byte, _ int, random *rand.Rand) []byte {
			flip(export, random)
			return export
		}},
		{kind: "a line of the export is removed", export: func(export []byte, at int, _ *rand.Rand) []byte {
			all := lines(export)
			n := 1 + at%(len(all)-1)
			return bytes.Join(slices.Delete(all, n, n+1), nil)
		}},
		{kind: "a line of the export is written twice", export: func(export []byte, at int, _ *rand.Rand) []byte {
			all := lines(export)
			n := 1 + at%(len(all)-1)
			return bytes.Join(slices.Insert(all, n, append(bytes.Clone(bytes.TrimSpace(all[n])), '\n')), nil)
		}},
		{kind: "the export ends early", export: func(export []byte, at int, _ *rand.Rand) []byte {
			all := lines(export)
			return bytes.Join(all[:1+at%(len(all)-1)], nil)
		}},
	}
}

// trials is how many tamperings are tried: TAMPERINGS, or some of each kind.
func trials(t *testing.T) int {
	t.Helper()
	count, err := strconv.Atoi(os.Getenv("TAMPERINGS"))
	if err != nil {
		return 170
	}
	return count
}

func TestEveryTamperingIsFoundByWhoeverHoldsAnEarlierCheckpoint(t *testing.T) {
	t.Parallel()
	kinds, count := tamperings(t), trials(t)
	random := rand.New(rand.NewPCG(1, uint64(count)))
	found := map[string]int{}
	for n := range count {
		kind := kinds[n%len(kinds)]
		honest := newLedger(t, random, 20+random.IntN(150))
		held := 10 + random.IntN(len(honest.entries)-9)
		checkpoint, at, workspace := honest.checkpoint(held), 1+random.IntN(held), []string{"", "acme"}[random.IntN(2)]
		if kind.whole {
			workspace = ""
		}
		sizes := []uint64{uint64(held)}
		verified(t, honest.export(workspace, sizes), checkpoint)

		tampered := honest.clone()
		if kind.ledger != nil {
			kind.ledger(tampered, at, held, random)
		}
		export := tampered.export(workspace, sizes)
		if kind.export != nil {
			export = kind.export(export, at, random)
		}
		report, err := transparency.Verify(bytes.NewReader(export), nil, []byte(checkpoint))
		if err == nil && report.OK() {
			t.Fatalf("not found: %s at %d of %d, held %d, workspace %q: %+v", kind.kind, at, len(honest.entries), held, workspace, report)
		}
		found[kind.kind]++
		if kind.ledger != nil && err == nil && report.Unchanged == uint64(held) { // the log is, and its tree is not
			require.Equal(t, transparency.Edited, report.Findings[0].Fault, kind.kind)
		}
	}
	for _, kind := range kinds {
		t.Logf("%5d found: %s", found[kind.kind], kind.kind)
		require.NotZero(t, found[kind.kind], kind.kind)
	}
}
