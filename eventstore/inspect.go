package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// Inspect compares the log with what it must hold: an event at every position up to
// the last, everything that a scrub could not read, and the events of the marks.
func (s *Store) Inspect(ctx context.Context, scrubbed Scrubbed, marks ...Mark) (Integrity, error) {
	known, _, err := s.readLineage(ctx)
	if err != nil {
		return Integrity{}, err
	}
	info, err := s.info(ctx)
	if err != nil {
		return Integrity{}, err
	}
	state := info.State
	i := Integrity{Log: known.ID(), First: state.FirstSeq, Last: state.LastSeq, Messages: state.Msgs}
	i.Limited = isLimited(info.Config)
	gone := state.LastSeq - min(state.LastSeq, state.Msgs)
	if gone > known.Removal().Count { // a removal may have been recorded between the two
		now, _, err := s.readLineage(ctx)
		if err != nil {
			return Integrity{}, err
		}
		if now.ID() == known.ID() {
			known = now
		}
	}
	i.Removed = min(gone, known.Removal().Count)
	lost := gone - i.Removed
	if scrubbed.Log == i.Log && scrubbed.Missing > lost {
		lost, i.Ranges = scrubbed.Missing, scrubbed.Ranges
	}
	i.Accepted = min(lost, known.Accepted)
	if i.Missing = lost - i.Accepted; i.Missing == 0 {
		i.Ranges = nil
	}
	removed, err := s.removedOf(ctx, known)
	if err != nil {
		return Integrity{}, err
	}
	if i.Missing > 0 && i.Ranges == nil && gone <= maxListed {
		if i.Ranges, err = s.gaps(ctx, removed); err != nil {
			return Integrity{}, err
		}
	}
	s.highest.observe(i.Log, i.Last)
	for _, m := range append(marks, s.highest.mark()) {
		if err := s.compare(ctx, m, known, removed, &i); err != nil {
			return Integrity{}, err
		}
	}
	if i.Whole() {
		s.highest.switchTo(i.Log, i.Last)
	}
	return i, nil
}

// maxListed is how many positions without an event the server is asked to list: it answers with 7
// bytes for each. Where there are more, a scrub finds which ones are missing.
const maxListed = 50_000

// gaps returns the first few ranges of positions without an event that were not removed.
func (s *Store) gaps(ctx context.Context, removed *Positions) ([]Range, error) {
	info, err := s.info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, err
	}
	var all Scrubbed
	if all.add(0, info.State.FirstSeq, removed); len(info.State.Deleted) == 0 {
		return all.Ranges, nil
	}
	slices.Sort(info.State.Deleted)
	from, to := info.State.Deleted[0], info.State.Deleted[0]
	for _, position := range info.State.Deleted[1:] {
		if position > to+1 {
			all.add(from-1, to+1, removed)
			from = position
		}
		to = position
	}
	all.add(from-1, to+1, removed)
	return all.Ranges, nil
}

// compare checks that the event of a mark is still in the log.
func (s *Store) compare(ctx context.Context, m Mark, known Lineage, removed *Positions, i *Integrity) error {
	at, same := known.Locate(m.Log, m.Position)
	switch {
	case m.Position == 0:
		return nil
	case !known.explained(m.Log): // the log was replaced, and no operator recorded why
		i.Replaced = true
		if i.Last < m.Position {
			i.add(Range{i.Last + 1, m.Position})
		}
		return nil
	case !same: // an operator knows that later events are lost
		return nil
	case at > i.Last:
		i.add(Range{i.Last + 1, at})
		return nil
	}
	if m.Hash == "" {
		return nil
	}
	hash, err := s.hashOf(ctx, at)
	switch {
	case errors.Is(err, errNoEvent) && (removed.Has(at) || known.Accepted > 0): // it may be one of those
		return nil
	case errors.Is(err, errNoEvent):
		i.add(Range{at, at})
		return nil
	case err != nil:
		return err
	}
	i.Replaced = i.Replaced || hash != m.Hash
	return nil
}

// errNoEvent means that the log has no event at a position.
var errNoEvent = errors.New("there is no such event in the log")

// hashOf returns the hash of an event as the leader of the log has it, or errNoEvent.
func (s *Store) hashOf(ctx context.Context, position uint64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := streams.FromLeader(ctx, s.nc, logName, position)
	if err != nil {
		return "", unavailable(err, "read a marked event")
	}
	if msg == nil {
		return "", errNoEvent
	}
	sum := sha256.New()
	_, _ = io.WriteString(sum, msg.Subject+"\n"+msg.Header.Get(headerID)+"\n"+msg.Header.Get(headerTime)+"\n") // writing to a hash never fails
	_, _ = sum.Write(msg.Data)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Mark returns a mark of the last event in the log.
func (s *Store) Mark(ctx context.Context) (Mark, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return Mark{}, err
	}
	m := Mark{Log: s.Lineage().ID(), Position: head}
	if head > 0 {
		m.Hash, err = s.hashOf(ctx, head)
	}
	return m, err
}
