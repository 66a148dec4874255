package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
)

// A Selection is whose events are meant: those of one integration, of all in a
// workspace when ID is empty, of all there are when both are.
type Selection struct {
	Workspace domain.Workspace
	ID        domain.ID
}

// filter returns the subject of the events selected.
func (of Selection) filter(prefix string) string {
	return prefix + orDefault(string(of.Workspace), "*") + "." + orDefault(string(of.ID), "*")
}

// maxAsked bounds how many messages are asked for at once.
const maxAsked = 500

// Page returns up to limit of the selected events after a position, oldest
// first, and whether there are more. An event that can't be read has its Err
// set.
func (s *Store) Page(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	return s.page(ctx, logName, of.filter(logPrefix), after, limit)
}

// ProbePage is Page for the stream of probe results.
func (s *Store) ProbePage(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	return s.page(ctx, probeName, of.filter(probePrefix), after, limit)
}

func (s *Store) page(ctx context.Context, stream, filter string, after uint64, limit int) ([]Commit, bool, error) {
	var commits []Commit
	for {
		got, more, err := s.ask(ctx, stream, filter, after, min(limit-len(commits), maxAsked))
		if err != nil {
			return nil, false, err
		}
		commits = append(commits, got...)
		if !more || len(got) == 0 || len(commits) == limit {
			return commits, more, nil
		}
		after = got[len(got)-1].Position
	}
}

// ask makes one request for messages after a position. The server may answer
// with fewer than were asked for, and says whether it has more.
func (s *Store) ask(ctx context.Context, stream, filter string, after uint64, limit int) (commits []Commit, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, stream, limit, jetstreamext.GetBatchSeq(after+1), jetstreamext.GetBatchSubject(filter))
	if err != nil {
		return nil, false, unavailable(err, "read "+filter)
	}
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return commits, false, nil
		case err != nil:
			return nil, false, unavailable(err, "read "+filter)
		}
		commits = append(commits, s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data))
		more = isPending(msg)
	}
	if err := ctx.Err(); err != nil { // the sequence ends in silence when time is up
		return nil, false, unavailable(err, "read "+filter)
	}
	return commits, more, nil
}

// isPending reports whether the server has more than msg to give.
func isPending(msg *jetstream.RawStreamMsg) bool {
	pending, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
	return err != nil || pending > 0
}

// How many positions PageBefore looks back at once: more each time that it
// finds too little.
const (
	firstStretch   = 256
	longestStretch = 1 << 17
)

// PageBefore returns up to limit of the selected events before a position,
// newest first, and whether there are more. Position 0 is after the last.
//
// JetStream reads forwards only, so it reads longer and longer stretches of
// the log, the last one first.
func (s *Store) PageBefore(ctx context.Context, of Selection, before uint64, limit int) ([]Commit, bool, error) {
	if before == 0 {
		head, err := s.Head(ctx)
		if err != nil {
			return nil, false, err
		}
		before = head + 1
	}
	stretch := uint64(firstStretch)
	if of.ID != "" {
		stretch = before // the subject of one integration is found at once, wherever its events are
	}
	var found []Commit // newest first
	for before > 1 && len(found) <= limit {
		from := before - min(stretch, before-1)
		last, err := s.lastBetween(ctx, of, from, before, limit+1-len(found))
		if err != nil {
			return nil, false, err
		}
		slices.Reverse(last)
		found = append(found, last...)
		before, stretch = from, min(4*stretch, longestStretch)
	}
	if len(found) > limit {
		return found[:limit], true, nil
	}
	return found, false, nil
}

// lastBetween returns the last events of [from, before), at most limit, oldest
// first.
func (s *Store) lastBetween(ctx context.Context, of Selection, from, before uint64, limit int) ([]Commit, error) {
	var last []Commit
	for after := from - 1; ; {
		commits, more, err := s.ask(ctx, logName, of.filter(logPrefix), after, maxAsked)
		if err != nil {
			return nil, fmt.Errorf("look back: %w", err)
		}
		for _, c := range commits {
			if c.Position >= before {
				more = false
				break
			}
			last = append(last, c)
		}
		last = slices.Clone(last[max(0, len(last)-limit):])
		if !more || len(commits) == 0 {
			return last, nil
		}
		after = commits[len(commits)-1].Position
	}
}
