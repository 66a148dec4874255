package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// Search returns the first event of an integration for which reached is true, the zero
// Commit when there is none. Reached must stay true for later events. Unreadable events
// are skipped. The number of events read grows with the logarithm of the log's length.
func (s *Store) Search(ctx context.Context, w domain.Workspace, id domain.ID, reached func(Commit) bool) (Commit, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return Commit{}, err
	}
	var found Commit
	low, high := uint64(0), head // the event is after low, and found or nothing after high
	for low < high {
		middle := low + (high-low)/2
		c, err := s.nextRead(ctx, w, id, middle)
		switch {
		case err != nil:
			return Commit{}, err
		case c.Position == 0:
			high = middle
		case reached(c):
			found, high = c, middle
		default:
			low = c.Position
		}
	}
	return found, nil
}

// nextRead is Next without unreadable events.
func (s *Store) nextRead(ctx context.Context, w domain.Workspace, id domain.ID, after uint64) (Commit, error) {
	for {
		c, err := s.Next(ctx, w, id, after)
		if err != nil || c.Position == 0 || c.Err == nil {
			return c, err
		}
		after = c.Position
	}
}

// Before returns the last readable event of an integration before a position, the zero
// Commit when there is none. It reads as few events as Search.
func (s *Store) Before(ctx context.Context, w domain.Workspace, id domain.ID, position uint64) (Commit, error) {
	var found Commit
	low, high := uint64(0), max(position, 1)-1
	for low <= high {
		middle := low + (high-low)/2
		c, err := s.nextRead(ctx, w, id, middle)
		if err != nil {
			return Commit{}, err
		}
		if c.Position > 0 && c.Position < position {
			found, low = c, c.Position
			continue
		}
		if middle == 0 {
			break
		}
		high = middle - 1
	}
	return found, nil
}

// VersionOf returns the version that an event led to, 0 when it is unreadable.
func VersionOf(c Commit) uint64 {
	if c.Err != nil || c.Event == nil {
		return 0
	}
	return domain.Evolve(domain.Integration{}, c.Event).Version
}
