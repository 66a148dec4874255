package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// A Writing copies a log to its archive.
type Writing struct {
	Archive

	From     *trees.Reader
	Before   time.Time // messages stored earlier are copied
	Progress func(position, to uint64)

	maxPositions uint64 // of a segment; 0: maxPositions
	maxBytes     int    // of messages of a segment; 0: maxBytes
}

// Written is what Run has done.
type Written struct {
	Log        transparency.Log `json:"log"`
	From       uint64           `json:"from"`       // first position that was written; 0: none
	Position   uint64           `json:"position"`   // up to here the archive has the log
	Segments   int              `json:"segments"`   // written
	Events     uint64           `json:"events"`     // in them
	Hashes     uint64           `json:"hashes"`     // positions of which the log had the hash only
	Bytes      uint64           `json:"bytes"`      // of the messages, without headers
	Stored     uint64           `json:"stored"`     // bytes of the segments
	Checkpoint string           `json:"checkpoint"` // of the last one
}

// Run writes what the archive does not have yet, up to the last position that was signed. Each
// message is compared with the tree of the log, and each segment is read again and verified before
// the next one. What was written stays when it fails; another run continues behind it.
func (w *Writing) Run(ctx context.Context) (Written, error) {
	done := Written{Log: w.Log}
	tree, err := w.From.Snapshot(ctx, w.Log)
	if err != nil {
		return done, err
	}
	key, err := transparency.ParseKey(w.From.Key.Public())
	if err != nil {
		return done, err
	}
	end, err := w.Check(ctx, tree, key)
	if err != nil && !errors.Is(err, ErrEmpty) {
		return done, err
	}
	done.Position, done.Checkpoint = end.To, end.Checkpoint.Note
	to := tree.Size()
	next, err := w.From.Events.PositionAt(ctx, w.From.Streams[w.Log], w.Before)
	if err != nil {
		return done, err
	}
	if next > 0 {
		to = min(to, next-1)
	}
	if to <= end.To {
		return done, nil
	}
	r := &writingSegment{Writing: w, tree: tree, key: key, to: to, at: end.To, done: &done}
	if w.Log == transparency.Integrations {
		if r.removed, err = w.From.Events.Removed(ctx); err != nil {
			return done, err
		}
	}
	done.From = end.To + 1
	for batch, err := range w.From.Events.Messages(ctx, w.From.Streams[w.Log], ">", end.To, to) {
		if err != nil {
			return done, err
		}
		for _, m := range batch {
			if err := r.add(ctx, trees.EntryOf(m)); err != nil {
				return done, err
			}
		}
	}
	for err == nil && r.at < to {
		err = r.write(ctx, min(to, r.last()))
	}
	return done, err
}

// Check returns the end of the archive, or an error unless it is one of the log that a tree is of.
func (a Archive) Check(ctx context.Context, tree *trees.Snapshot, key []byte) (Segment, error) {
	end, err := a.End(ctx, key)
	if err != nil {
		return end, err
	}
	if end.To > tree.Size() {
		return end, fmt.Errorf("the archive has %d positions of %s, and the log only %d that are signed: %w", end.To, a.Log, tree.Size(), errLonger(tree.IsOf(end.Checkpoint)))
	}
	root, err := tree.Root(end.To)
	if err == nil && root != end.Checkpoint.Root {
		err = fmt.Errorf("the archive of %s is of another log, or of what this one was before it was restored: its first %d positions are different", a.Log, end.To)
	}
	return end, err
}

// errLonger returns why an archive has more than the tree of a log.
func errLonger(sameOrigin bool) error {
	if sameOrigin {
		return errLost
	}
	return errors.New("it is of another log")
}

var errLost = errors.New("the log has lost its end, or it is of another log; restore a backup, or see integrations verify --archive")

// writingSegment collects the messages of a segment.
type writingSegment struct {
	*Writing

	tree    *trees.Snapshot
	key     []byte
	to      uint64 // where the archive will end
	at      uint64 // where it ends
	entries []transparency.Entry
	size    int                   // of them, with their headers
	removed *eventstore.Positions // which the log no longer has
	done    *Written
}

// last returns the last position that the present segment may have: segments end where subtrees do.
func (r *writingSegment) last() uint64 {
	width := cmp.Or(r.maxPositions, maxPositions)
	return (r.at/width + 1) * width
}

func (r *writingSegment) add(ctx context.Context, e transparency.Entry) error {
	for e.Position > r.last() {
		if err := r.write(ctx, r.last()); err != nil {
			return err
		}
	}
	leaf, err := r.tree.Leaf(e.Position)
	if err != nil {
		return err
	}
	if leaf != e.Leaf() {
		return fmt.Errorf("position %d of %s was changed: its hash in the tree is another one; run integrations verify", e.Position, r.Log)
	}
	r.entries = append(r.entries, e)
	if r.size += sizeOf(e); r.size >= cmp.Or(r.maxBytes, maxBytes) || e.Position == r.last() {
		return r.write(ctx, e.Position)
	}
	return nil
}

// write writes the segment that ends with a position, and reads it again.
func (r *writingSegment) write(ctx context.Context, to uint64) error {
	from := r.at + 1
	gone, err := r.gone(to)
	if err != nil {
		return err
	}
	signed, err := r.tree.Sign(to, transparency.Segment{From: from, Hashes: gone.String()})
	if err != nil {
		return err
	}
	data, err := r.encode(signed)
	if err != nil {
		return err
	}
	if err := r.Objects.Put(ctx, r.name(from), data); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	again, err := r.read(ctx, from, r.key, r.done.Checkpoint)
	if err != nil {
		return err
	}
	if again.Checkpoint.Note != signed.Note || len(again.Entries) != len(r.entries) {
		return r.damaged(from, errors.New("it is not what was written"))
	}
	r.done.Segments++
	r.done.Events += uint64(len(r.entries))
	r.done.Hashes += to - r.at - uint64(len(r.entries))
	for _, e := range r.entries {
		r.done.Bytes += uint64(len(e.Data))
	}
	r.done.Stored += uint64(len(data))
	r.done.Position, r.done.Checkpoint = to, signed.Note
	r.at, r.entries, r.size = to, r.entries[:0], 0
	r.Progress(to, r.to)
	return nil
}

// gone returns the positions of the segment that the log has no messages of. It is an error when
// they were lost: they were signed, no operator has accepted the loss, and nothing expires there.
func (r *writingSegment) gone(to uint64) (all transparency.Positions, err error) {
	at := r.at
	hole := func(before uint64) error {
		if at+1 == before {
			return nil
		}
		all.Add(at+1, before-1)
		for p := at + 1; p < before; p++ {
			if r.removed.Has(p) {
				return fmt.Errorf("position %d was removed from the log by integrations prune: only the archive from before that has it. Copy that one, and continue the copy", p)
			}
		}
		for p := at + 1; p < before && !r.Log.Expires() && r.From.Events.Lineage().Accepted == 0; p++ {
			if leaf, err := r.tree.Leaf(p); err != nil || leaf != transparency.MissingLeaf(p) {
				return errors.Join(err, fmt.Errorf("position %d is missing from the log %s; see integrations status and integrations verify", p, r.Log))
			}
		}
		return nil
	}
	for _, e := range r.entries {
		if err := hole(e.Position); err != nil {
			return nil, err
		}
		at = e.Position
	}
	return all, hole(to + 1)
}

// encode returns the segment as an export with hashes for all before it.
func (r *writingSegment) encode(signed transparency.Checkpoint) ([]byte, error) {
	var data bytes.Buffer
	compressed, err := zstd.NewWriter(&data, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return nil, err
	}
	export, err := transparency.NewExportWriter(compressed, transparency.Header{Log: r.Log, Checkpoint: signed.Note, PublicKey: r.From.Key.Public()})
	if err != nil {
		return nil, err
	}
	cover := func(from, to uint64) error {
		if from > to {
			return nil
		}
		return r.tree.Cover(from, to, export.Covered)
	}
	err = cover(1, r.at)
	at := r.at
	for rest := r.entries; len(rest) > 0 && err == nil; {
		row := adjacent(rest)
		if err = cover(at+1, row[0].Position-1); err == nil {
			err = export.Entries(row)
		}
		at = row[len(row)-1].Position
		rest = rest[len(row):]
	}
	if err == nil {
		err = cover(at+1, signed.Size)
	}
	if root, size := export.Root(); err == nil && (root != signed.Root || size != signed.Size) {
		err = fmt.Errorf("positions %d to %d of %s are not those of its tree; run integrations verify", r.at+1, signed.Size, r.Log)
	}
	err = errors.Join(err, compressed.Close())
	return data.Bytes(), err
}

// adjacent returns the first of some entries, and those whose positions follow without a gap.
func adjacent(all []transparency.Entry) []transparency.Entry {
	for n := range all[1:] {
		if all[n+1].Position != all[n].Position+1 {
			return all[:n+1]
		}
	}
	return all
}
