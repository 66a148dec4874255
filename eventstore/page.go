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

// A Selection selects events: those of one integration, those of all integrations of a
// workspace when ID is empty, or all events when both are empty.
type Selection struct {
	Workspace domain.Workspace
	ID        domain.ID

	// Authorizations selects the events of the authorizations too, which are about what
	// persons have permitted the integrations to do.
	Authorizations bool
}

// filter returns the subject of the selected events, without those of authorizations.
func (of Selection) filter(prefix string) string {
	return prefix + orDefault(string(of.Workspace), "*") + "." + orDefault(string(of.ID), "*")
}

// logFilters returns the subjects of the selected events of the log.
func (of Selection) logFilters() []string {
	switch {
	case !of.Authorizations:
		return []string{of.filter(logPrefix)}
	case of.ID != "": // of which no wildcard has both
		return []string{of.filter(logPrefix), of.filter(logPrefix) + ".*"}
	case of.Workspace != "":
		return []string{logPrefix + string(of.Workspace) + ".>"}
	}
	return []string{logPrefix + ">"}
}

// The limits of one request. A server closes a connection that has more than 64 MiB
// waiting to be sent, and so ends everything else on that connection.
const (
	maxAsked    = 500
	maxSent     = 2 << 20
	maxRequests = 8 // concurrent requests of one process; others wait
)

// maxPageBytes bounds the bytes of a page.
const maxPageBytes = 8 << 20

// Page returns up to limit of the selected events after a position, oldest first, and
// whether there are more. A page of large events is shorter. An unreadable event has
// its Err set.
func (s *Store) Page(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	filters := of.logFilters()
	commits, more, err := s.page(ctx, logName, filters[0], after, limit)
	if err != nil || len(filters) == 1 {
		return commits, more, err
	}
	others, moreOthers, err := s.page(ctx, logName, filters[1], after, limit)
	if err != nil {
		return nil, false, err
	}
	all, cut := interleave(limit, more, moreOthers, commits, others, func(a, b uint64) bool { return a < b })
	return all, cut, nil
}

// ProbePage is Page for the stream of probe results.
func (s *Store) ProbePage(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	return s.page(ctx, probeName, of.filter(probePrefix), after, limit)
}

func (s *Store) page(ctx context.Context, stream, filter string, after uint64, limit int) ([]Commit, bool, error) {
	var commits []Commit
	for held := 0; ; {
		got, more, err := s.request(ctx, stream, filter, after, min(limit-len(commits), maxAsked))
		if err != nil {
			return nil, false, err
		}
		for _, g := range got {
			commits = append(commits, g.Commit)
			held += g.size
			after = g.Position
		}
		if !more || len(got) == 0 || len(commits) == limit || held >= maxPageBytes {
			return commits, more, nil
		}
	}
}

// sized is a commit and its size in bytes.
type sized struct {
	Commit
	size int
}

// request requests messages after a position. The server may return fewer than requested,
// and reports whether it has more.
func (s *Store) request(ctx context.Context, stream, filter string, after uint64, limit int) (commits []sized, more bool, err error) {
	select {
	case s.requests <- struct{}{}:
		defer func() { <-s.requests }()
	case <-ctx.Done():
		return nil, false, unavailable(ctx.Err(), "read "+filter)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, stream, limit, jetstreamext.GetBatchSeq(after+1), jetstreamext.GetBatchSubject(filter), jetstreamext.GetBatchMaxBytes(maxSent))
	if err != nil {
		return nil, false, unavailable(err, "read "+filter)
	}
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return commits, false, nil
		case err != nil:
			return nil, false, unavailable(err, "read "+filter)
		case msg.Sequence <= after:
			return nil, false, unavailable(errMisnamed, "read "+filter)
		}
		after = msg.Sequence
		c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
		if err := c.unknown(); err != nil {
			return nil, false, err
		}
		commits = append(commits, sized{c, len(msg.Data)})
		more = isPending(msg)
	}
	if err := ctx.Err(); err != nil { // at the deadline the sequence ends without an error
		return nil, false, unavailable(err, "read "+filter)
	}
	return commits, more, nil
}

// isPending reports whether the server has more messages after msg.
func isPending(msg *jetstream.RawStreamMsg) bool {
	pending, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
	return err != nil || pending > 0
}

// How many positions PageBefore reads back at once: more each time that it finds too
// little.
const (
	firstStretch   = 256
	longestStretch = 1 << 17
)

// PageBefore returns up to limit of the selected events before a position, newest first,
// and whether there may be more. A page of large events is shorter. Position 0 means
// after the last event.
//
// JetStream reads forwards only, so it reads ranges of the log of increasing length, the
// last one first.
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
		// Versions count the events of an integration, so they give the first position.
		first, err := s.firstOfLast(ctx, of, before, limit+1)
		if err != nil {
			return nil, false, err
		}
		stretch = before - min(first, before)
	}
	commits, more, err := s.pageBefore(ctx, logName, of.logFilters()[0], before, stretch, limit)
	if err != nil || len(of.logFilters()) == 1 {
		return commits, more, err
	}
	others, moreOthers, err := s.pageBefore(ctx, logName, of.logFilters()[1], before, firstStretch, limit)
	if err != nil {
		return nil, false, err
	}
	all, cut := interleave(limit, more, moreOthers, commits, others, func(a, b uint64) bool { return a > b })
	return all, cut, nil
}

// pageBefore is PageBefore for any stream. Stretch is how many positions it reads at first.
func (s *Store) pageBefore(ctx context.Context, stream, filter string, before, stretch uint64, limit int) ([]Commit, bool, error) {
	found := newest{limit: limit + 1}
	for before > 1 && !found.full() {
		from := before - min(stretch, before-1)
		count := len(found.commits)
		if err := s.lastBetween(ctx, stream, filter, from, before, &found); err != nil {
			return nil, false, err
		}
		before = from
		if len(found.commits) == count && stretch >= longGap {
			last, err := s.lastPosition(ctx, stream, filter, before)
			if err != nil {
				return nil, false, err
			}
			before = last + 1
		}
		stretch = min(4*stretch, longestStretch)
	}
	if len(found.commits) > limit {
		return found.commits[:limit], true, nil
	}
	return found.commits, found.cut, nil
}

// longGap is how many positions without a selected event make a search for the one before
// them worthwhile.
const longGap = 4 * firstStretch

// lastPosition returns the position of the last message on a filter before another
// position, 0 when there is none. The number of requests grows with the logarithm of the
// stream's length.
func (s *Store) lastPosition(ctx context.Context, stream, filter string, before uint64) (uint64, error) {
	low, high := uint64(0), max(before, 1)-1 // it is low, or after it and not after high
	for low < high {
		middle := low + (high-low)/2
		next, _, err := s.request(ctx, stream, filter, middle, 1)
		if err != nil {
			return 0, fmt.Errorf("look back: %w", err)
		}
		if len(next) > 0 && next[0].Position < before {
			low = next[0].Position
		} else {
			high = middle
		}
	}
	return low, nil
}

// firstOfLast returns a position from which an integration has at least count events
// before another position, and few more.
func (s *Store) firstOfLast(ctx context.Context, of Selection, before uint64, count int) (uint64, error) {
	last, err := s.Before(ctx, of.Workspace, of.ID, before)
	if err != nil {
		return 0, err
	}
	version := VersionOf(last)
	if version <= uint64(count) { //nolint:gosec // a count is not negative
		return 1, nil
	}
	first, err := s.Search(ctx, of.Workspace, of.ID, func(c Commit) bool { return VersionOf(c) > version-uint64(count) }) //nolint:gosec // as above
	return max(first.Position, 1), err
}

// newest collects commits, newest first, up to a number and a size.
type newest struct {
	commits []Commit
	limit   int
	held    int
	cut     bool // a commit did not fit
}

func (n *newest) full() bool { return n.cut || len(n.commits) >= n.limit }

// take adds commits that are older than all added before, oldest first.
func (n *newest) take(older []sized) {
	for _, c := range slices.Backward(older) {
		if n.cut = n.cut || len(n.commits) > 0 && n.held+c.size > maxPageBytes; n.full() {
			return
		}
		n.commits = append(n.commits, c.Commit)
		n.held += c.size
	}
}

// lastBetween adds the last events of [from, before) to found.
func (s *Store) lastBetween(ctx context.Context, stream, filter string, from, before uint64, found *newest) error {
	var last []sized
	held, cut := 0, false
	for after := from - 1; ; {
		commits, more, err := s.request(ctx, stream, filter, after, maxAsked)
		if err != nil {
			return fmt.Errorf("look back: %w", err)
		}
		for _, c := range commits {
			if after = c.Position; after >= before {
				more = false
				break
			}
			last = append(last, c)
			for held += c.size; len(last) > 1 && (len(last) > found.limit || held > maxPageBytes); last = last[1:] {
				held -= last[0].size
				last[0], cut = sized{}, true
			}
		}
		if !more || len(commits) == 0 {
			found.take(last)
			found.cut = found.cut || cut
			return nil
		}
	}
}
