package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
)

// Recent returns the hours with calls of integrations of a workspace from a time on, at most two
// days ago, oldest first. It makes one request for up to 300 integrations. Calls of the last
// second may be missing.
func (s *Store) Recent(ctx context.Context, w domain.Workspace, ids []domain.ID, from, now time.Time) (map[domain.ID][]Hour, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var subjects []string
	for date := from.UTC().Truncate(24 * time.Hour); !date.After(now); date = date.AddDate(0, 0, 1) {
		for _, id := range ids {
			subjects = append(subjects, subjectOf(domain.Ref{Workspace: w, ID: id}, date.Format(time.DateOnly)))
		}
	}
	all := map[domain.ID][]Hour{}
	if len(subjects) == 0 {
		return all, nil
	}
	messages, err := jetstreamext.GetLastMsgsFor(ctx, s.js, Stream, subjects)
	if err != nil {
		return nil, unavailable(err)
	}
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return all, nil
		case err != nil:
			return nil, unavailable(err)
		}
		parts := strings.Split(msg.Subject, ".")
		date, err := time.Parse(time.DateOnly, parts[len(parts)-1])
		if err != nil || len(parts) != 4 {
			continue // not from this program
		}
		var d day
		if err := json.Unmarshal(msg.Data, &d); err != nil {
			return nil, fmt.Errorf("read usage: %w", err)
		}
		id := domain.ID(parts[2])
		for at, counts := range d.Hours {
			if start := date.Add(time.Duration(at) * time.Hour); !start.Before(from) {
				all[id] = append(all[id], Hour{Start: start, Counts: counts})
			}
		}
	}
	if err := ctx.Err(); err != nil { // at the deadline the sequence ends without an error
		return nil, unavailable(err)
	}
	for _, hours := range all {
		slices.SortFunc(hours, func(a, b Hour) int { return a.Start.Compare(b.Start) })
	}
	return all, nil
}
