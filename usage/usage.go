// Package usage counts the calls of each integration by hour: how many, with what outcome,
// and how long they took.
//
// Its promise: each recorded call is counted once, however often the counter is
// interrupted, and counting again from the beginning gives the same figures.
package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Stream is the stream that has the counts.
const Stream = "USAGE"

const (
	prefix = "usage."

	// Kept is how long counts are kept.
	Kept = 30 * 24 * time.Hour

	timeout = 5 * time.Second // of one request to NATS
)

// Counts count calls.
type Counts struct {
	Calls     int                        `json:"calls"`
	Outcomes  map[domain.CallOutcome]int `json:"outcomes"`
	Kinds     map[domain.CallKind]int    `json:"kinds"`
	Durations Histogram                  `json:"durations"`
}

// Hour has the counts of one hour.
type Hour struct {
	Start time.Time // UTC
	Counts
}

// newCounts returns counts of nothing.
func newCounts() Counts {
	return Counts{Outcomes: map[domain.CallOutcome]int{}, Kinds: map[domain.CallKind]int{}, Durations: Histogram{}}
}

// Errors returns how many calls failed.
func (c Counts) Errors() int { return c.Calls - c.Outcomes[domain.CallOK] }

func (c *Counts) add(call domain.IntegrationInvoked) {
	c.Calls++
	c.Outcomes[call.Outcome]++
	c.Kinds[call.Kind]++
	c.Durations.Add(call.Duration)
}

// Sum adds the counts of hours.
func Sum(hours []Hour) Counts {
	sum := newCounts()
	for _, h := range hours {
		sum.Calls += h.Calls
		for outcome, count := range h.Outcomes {
			sum.Outcomes[outcome] += count
		}
		for kind, count := range h.Kinds {
			sum.Kinds[kind] += count
		}
		sum.Durations.Merge(h.Durations)
	}
	return sum
}

// A day is a stored message: the hours of one integration on one day (UTC). It is the
// last message of its subject, which has the date.
type day struct {
	Position uint64         `json:"position"` // of the last call that is counted
	Hours    map[int]Counts `json:"hours"`    // by the hour of the day
}

// Store has the counts.
type Store struct {
	js jetstream.JetStream
}

// Open returns the store, and creates its stream if it does not exist.
func Open(ctx context.Context, nc *nats.Conn, replicas int) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open usage: %w", err)
	}
	if _, err := streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{prefix + ">"}, AllowDirect: true, Replicas: max(replicas, 1),
		MaxMsgsPerSubject: 1, MaxAge: Kept + 24*time.Hour,
	}); err != nil {
		return nil, fmt.Errorf("open usage: %w", err)
	}
	return &Store{js: js}, nil
}

// Attach returns the store that exists, for a program that creates nothing.
func Attach(nc *nats.Conn) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open usage: %w", err)
	}
	return &Store{js: js}, nil
}

func subjectOf(of domain.Ref, date string) string {
	return prefix + string(of.Workspace) + "." + string(of.ID) + "." + date
}

// First returns the first hour that is shown.
func First(now time.Time) time.Time { return now.UTC().Add(-Kept).Truncate(time.Hour) }

// maxDays is how many days of an integration are kept at most, and some more.
const maxDays = 64

// Hours returns the hours with calls of an integration in the last 30 days, oldest first.
// Calls of the last second may be missing.
func (s *Store) Hours(ctx context.Context, of domain.Ref, now time.Time) ([]Hour, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, Stream, maxDays, jetstreamext.GetBatchSeq(1), jetstreamext.GetBatchSubject(subjectOf(of, "*")))
	if err != nil {
		return nil, unavailable(err)
	}
	first := First(now)
	var hours []Hour
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return nil, nil
		case err != nil:
			return nil, unavailable(err)
		}
		date, err := time.Parse(time.DateOnly, msg.Subject[len(subjectOf(of, "")):])
		if err != nil {
			continue // not from this program
		}
		var d day
		if err := json.Unmarshal(msg.Data, &d); err != nil {
			return nil, fmt.Errorf("read usage: %w", err)
		}
		for _, at := range slices.Sorted(maps.Keys(d.Hours)) {
			if start := date.Add(time.Duration(at) * time.Hour); !start.Before(first) {
				hours = append(hours, Hour{Start: start, Counts: d.Hours[at]})
			}
		}
	}
	if err := ctx.Err(); err != nil { // at the deadline the sequence ends without an error
		return nil, unavailable(err)
	}
	slices.SortFunc(hours, func(a, b Hour) int { return a.Start.Compare(b.Start) })
	return hours, nil
}

func unavailable(err error) error {
	return domain.Wrap(fmt.Errorf("usage: %w", err), domain.Unavailable, "usage_unavailable", "the usage is unavailable; try again")
}
