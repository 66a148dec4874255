package transparency

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// A Fault is the kind of what a verifier found.
type Fault string

// The faults.
const (
	Malformed  Fault = "malformed"  // a line of the export can't be read
	Disordered Fault = "disordered" // a position is missing, or not where it belongs
	Edited     Fault = "edited"     // an entry is not the one whose leaf stands beside it
	Truncated  Fault = "truncated"  // the log ends before one that was signed
	Rewritten  Fault = "rewritten"  // what was signed earlier was different
	Unsigned   Fault = "unsigned"   // a checkpoint is not signed with the key
	Unchecked  Fault = "unchecked"  // the export does not permit the comparison
	Removed    Fault = "removed"    // a segment has other messages than it was signed for
)

// A Finding is what is wrong.
type Finding struct {
	Fault    Fault  `json:"fault"`
	Position uint64 `json:"position"` // the first that is not what it was; 0: no single position
	To       uint64 `json:"to"`       // it lies between Position and this one
	Detail   string `json:"detail"`
}

// A Report is the result of a verification.
type Report struct {
	Log       Log       `json:"log"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`              // positions of the export
	Entries   uint64    `json:"entries"`           // whose messages are in it
	Hashes    uint64    `json:"hashes"`            // positions that it has only hashes of
	Held      int       `json:"held"`              // earlier checkpoints that it was compared with
	Skipped   int       `json:"skipped,omitempty"` // held checkpoints that a part can't be compared with
	Unchanged uint64    `json:"unchanged"`         // up to here it is what a held checkpoint was made of
	Findings  []Finding `json:"findings"`
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Verify verifies an export against checkpoints that were held since earlier. A nil key means
// the one that the export names: then held checkpoints must be signed with it as well. Only an
// error of reading is returned as an error.
func Verify(export io.Reader, key []byte, heldNotes []byte) (Report, error) {
	return new(verification).run(export, key, heldNotes)
}

// VerifyPart is Verify for a segment of an archive, or for several in order without the hashes
// between them. Each must have exactly the messages that its checkpoint was signed for. Held
// checkpoints that it can't be compared with are skipped, unless that is all of them. Each message
// is handed to take, which may be nil, before it is compared with any checkpoint.
func VerifyPart(export io.Reader, key, heldNotes []byte, take func(Entry) error) (Report, error) {
	return (&verification{part: true, take: take}).run(export, key, heldNotes)
}

func (v *verification) run(export io.Reader, key, heldNotes []byte) (Report, error) {
	lines := newExportReader(export)
	v.report.Findings = []Finding{}
	first, err := lines.next()
	if err != nil || first.Transparency == nil {
		return v.report, noHeader(err)
	}
	v.header(*first.Transparency, key, heldNotes)
	for v.report.OK() {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			v.find(Malformed, v.next(), v.next(), "the line of position %d can't be read: %v", v.next(), err)
			break
		}
		v.line(l)
		if v.failed != nil {
			return v.report, v.failed
		}
	}
	if v.report.OK() {
		v.end()
	}
	v.report.Size = v.covered.Size()
	if v.part && !v.report.OK() { // what a segment must have is known at its end
		v.report.Unchanged = min(v.report.Unchanged, max(v.own.Segment.From, 1)-1)
	}
	return v.report, nil
}

// verification is one run.
type verification struct {
	report  Report
	covered Range
	targets []target // by size
	size    uint64   // of the checkpoint of the export

	part   bool // held checkpoints may be skipped
	key    []byte
	own    Checkpoint // of the present segment
	hashes Positions  // in it
	take   func(Entry) error
	failed error // of take
}

// target is a checkpoint to compare with.
type target struct {
	Checkpoint
	held bool
}

func (v *verification) find(fault Fault, position, to uint64, format string, args ...any) {
	v.report.Findings = append(v.report.Findings, Finding{fault, position, to, fmt.Sprintf(format, args...)})
}

// next returns the position that the next line must have.
func (v *verification) next() uint64 { return v.covered.Size() + 1 }

func (v *verification) header(h Header, key, heldNotes []byte) {
	v.report.Log = h.Log
	if !slices.Contains(Logs(), h.Log) {
		v.find(Malformed, 0, 0, "the export is of an unknown log")
		return
	}
	if key == nil {
		var err error
		if key, err = ParseKey(h.PublicKey); err != nil {
			v.find(Malformed, 0, 0, "the public key of the export: %v", err)
			return
		}
	}
	own, err := ParseCheckpoint(h.Checkpoint, key)
	if err != nil {
		v.find(Unsigned, 0, 0, "the checkpoint of the export: %v", err)
		return
	}
	if v.report.Origin = own.Origin; !v.isSegment(h, own, own.Segment.From) {
		return
	}
	held, err := ParseHeld(heldNotes, key, h.Log)
	if err != nil {
		v.find(Unsigned, 0, 0, "the held checkpoints: %v", err)
		return
	}
	if len(heldNotes) > 0 && len(held) == 0 {
		v.find(Unchecked, 0, 0, "no held checkpoint is of the log %s", h.Log)
		return
	}
	v.report.Held, v.size, v.key, v.own = len(held), own.Size, key, own
	for _, c := range held {
		v.targets = append(v.targets, target{c, true})
	}
	v.targets = append(v.targets, target{own, false})
	slices.SortStableFunc(v.targets, func(a, b target) int { return cmp.Compare(a.Size, b.Size) })
	v.reached()
}

// isSegment reports whether a checkpoint is of the log of its header and, in a part, of a segment
// that begins with a position.
func (v *verification) isSegment(h Header, own Checkpoint, from uint64) bool {
	switch {
	case own.Log() != h.Log || h.Log != v.report.Log:
		v.find(Unsigned, 0, 0, "the checkpoint of the export is of another log: %s", own.Log())
	case v.part && own.Segment.From == 0:
		v.find(Unsigned, 0, 0, "the checkpoint is not of a segment of an archive, so it does not prove which messages there must be")
	case v.part && own.Segment.From != from:
		v.find(Disordered, from, from, "the segment from position %d is missing, or is not a file: another one follows that begins with %d", from, own.Segment.From)
	}
	return v.report.OK()
}

// segment begins the next segment of a part.
func (v *verification) segment(h Header) {
	at := v.next()
	if at <= v.size {
		v.find(Truncated, at, v.size, "a segment ends at position %d, and its checkpoint was signed for %d", at-1, v.size)
		return
	}
	own, err := ParseCheckpoint(h.Checkpoint, v.key)
	if err != nil {
		v.find(Unsigned, 0, 0, "the checkpoint of the segment from position %d: %v", at, err)
		return
	}
	if !v.isSegment(h, own, at) {
		return
	}
	v.report.Origin, v.size, v.own, v.hashes = own.Origin, own.Size, own, nil
	v.targets = append(v.targets, target{own, false})
	slices.SortStableFunc(v.targets, func(a, b target) int { return cmp.Compare(a.Size, b.Size) })
}

func (v *verification) line(l line) {
	at := v.next()
	switch {
	case v.part && l.Transparency != nil && l.Entry == nil && l.Covered == nil && l.Leaf == nil:
		v.segment(*l.Transparency)
	case v.covered.Size() >= v.size:
		v.find(Disordered, at, at, "the export goes on after position %d, up to which its checkpoint was signed", v.size)
	case l.Entry != nil && l.Leaf != nil && l.Covered == nil && l.Transparency == nil:
		if l.Entry.Position != at {
			v.find(Disordered, at, at, "position %d is missing or moved: the next line has position %d", at, l.Entry.Position)
			return
		}
		leaf := l.computed
		if leaf != *l.Leaf {
			v.find(Edited, at, at, "position %d was edited after the export was written: its hash is another one", at)
			return
		}
		if v.report.Entries++; v.take != nil {
			v.failed = v.take(*l.Entry)
		}
		v.add(leaf, 1)
	case l.Covered != nil && l.Entry == nil && l.Leaf == nil && l.Transparency == nil:
		c := *l.Covered
		if c.From != at || c.To < c.From {
			v.find(Disordered, at, at, "position %d is missing or moved: the next line covers %d to %d", at, c.From, c.To)
			return
		}
		width := c.To - c.From + 1
		v.skip(c.To)
		if len(v.targets) > 0 && v.targets[0].Size < c.To { // it is not reached, so it is within
			v.find(Unchecked, 0, 0, "the export has one hash for positions %d to %d, so it can't be compared with the checkpoint of %d positions; export again with --checkpoint", c.From, c.To, v.targets[0].Size)
			return
		}
		if v.report.Hashes += width; c.To >= v.own.Segment.From {
			v.hashes.Add(c.From, c.To)
		}
		v.add(c.Hash, width)
	default:
		v.find(Malformed, at, at, "the line of position %d is neither an entry nor a hash", at)
	}
}

func (v *verification) add(h Hash, width uint64) {
	at := v.next()
	if err := v.covered.Add(h, width); err != nil {
		v.find(Disordered, at, at, "position %d: %v", at, err)
		return
	}
	v.reached()
}

// reached compares with the checkpoints of the present size.
func (v *verification) reached() {
	for len(v.targets) > 0 && v.targets[0].Size == v.covered.Size() && v.report.OK() {
		t := v.targets[0]
		v.targets = v.targets[1:]
		if v.covered.Root() != t.Root {
			from := v.report.Unchanged + 1
			if !t.held {
				v.find(Edited, from, t.Size, "positions %d to %d are not those that the checkpoint of the export was signed for", from, t.Size)
				return
			}
			v.find(Rewritten, from, t.Size, "positions %d to %d are not those that the held checkpoint of %d positions was signed for: at least one was changed", from, t.Size, t.Size)
			return
		}
		switch {
		case t.held:
			v.report.Unchanged = t.Size
		case v.part && v.hashes.String() != v.own.Segment.Hashes:
			v.find(Removed, v.own.Segment.From, t.Size, "the segment from position %d has hashes instead of the messages %.200s, and was signed for: %.200s", v.own.Segment.From, v.hashes, v.own.Segment.Hashes)
		}
	}
}

// skip leaves out held checkpoints of fewer positions than a number, which a part has no hash for.
func (v *verification) skip(before uint64) {
	for v.part && len(v.targets) > 0 && v.targets[0].held && v.targets[0].Size < before {
		v.targets = v.targets[1:]
		v.report.Held--
		v.report.Skipped++
	}
}

// end reports the checkpoints that the export does not reach.
func (v *verification) end() {
	v.skip(math.MaxUint64)
	if v.report.Skipped > 0 && v.report.Held == 0 {
		v.find(Unchecked, 0, 0, "none of the %d held checkpoints is of a size at which the export can be compared: hold more of them", v.report.Skipped)
	}
	if len(v.targets) == 0 {
		return
	}
	t := v.targets[0]
	at := v.next()
	if t.held {
		v.find(Truncated, at, t.Size, "the export ends at position %d, and a held checkpoint was signed for %d positions: %d to %d are gone", at-1, t.Size, at, t.Size)
		return
	}
	v.find(Truncated, at, t.Size, "the export ends at position %d, and its own checkpoint was signed for %d", at-1, t.Size)
}
