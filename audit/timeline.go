package audit

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Span is the time that a timeline shows.
type Span struct {
	From, To time.Time // zero: chosen by Timeline
	Buckets  int       // at most
}

// Timeline is what happened to an integration, or in a workspace, on one axis of time.
type Timeline struct {
	From, To time.Time
	Step     time.Duration // of a bucket; buckets begin at multiples of it

	Changes     []Entry // oldest first
	MoreChanges bool    // there are older ones in the span
	Before      *Entry  // the last change before the span; nil: none
	States      []State // of an integration, oldest first
	Probes      []Bucket
	Calls       []Bucket
	CallsFrom   time.Time // older calls of the span are not counted; zero: all are
	Onset       *Onset    // nil: it works at the end of the span, or nobody can know
}

// State is a time during which an integration had one status.
type State struct {
	From, To time.Time
	Status   domain.ProbeStatus // or disabled, deleted; empty: not probed yet
	Message  string             // of the first probe with it
}

// The states of an integration beside those of its probes.
const (
	Disabled domain.ProbeStatus = "disabled"
	Deleted  domain.ProbeStatus = "deleted"
)

// Bucket counts what happened in one step of time. Steps without anything have none.
type Bucket struct {
	Start      time.Time
	OK, Failed int
	P95        time.Duration // of what is counted
	Longest    time.Duration

	durations []time.Duration
}

// Onset is when an integration broke.
type Onset struct {
	At          time.Time
	Calls       bool      // calls show it; otherwise probes do
	LastHealthy time.Time // the last healthy probe before it; zero: none is known
	Status      string    // of the first failure
	Message     string
	Before      []Entry // changes in the day before it, the nearest first
}

const (
	maxTimelineCalls   = 20_000 // that are read for a timeline, the newest first
	maxTimelineChanges = 200    // of a timeline, the newest
	maxChangePages     = 5      // of the feed, each of a bounded part of the log
	maxCallPages       = 21     // of callsAtOnce
	callsAtOnce        = 1000
	maxCandidates      = 10 // changes before an onset
	lookBack           = 24 * time.Hour
	beforeOnset        = 30 * time.Minute // that a timeline shows by default
	beforeCreation     = 10 * time.Second // that it shows of what came before the first change
)

// steps are the lengths that buckets have.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour,
}

// StepOf returns the shortest step by which a span has no more buckets than a limit.
func StepOf(span time.Duration, buckets int) time.Duration {
	for _, step := range steps {
		if int(span/step)+2 <= buckets { // the first and the last may be parts
			return step
		}
	}
	return max(steps[len(steps)-1], span)
}

// Timeline returns what happened to an integration, as far as the scope of ctx shows it; with
// an empty id, what happened in the workspace, without probes and states. By default the
// span begins half an hour before the integration broke, or a day ago, or when it was created.
// countCalls reports whether to count calls; where it doesn't, the caller does.
func (l Log) Timeline(ctx context.Context, w domain.Workspace, id domain.ID, now time.Time, span Span, countCalls func(step time.Duration) bool) (Timeline, error) {
	t := Timeline{From: span.From, To: span.To}
	if t.To.IsZero() {
		t.To = now
	}
	var probes []domain.Probe
	if id != "" {
		var err error
		if probes, err = l.probesUntil(ctx, w, id, t.To); err != nil {
			return Timeline{}, err
		}
		t.Onset = brokenByProbes(probes)
	}
	if t.From.IsZero() {
		if t.From = t.To.Add(-lookBack); t.Onset != nil {
			t.From = t.Onset.At.Add(-beforeOnset)
		}
	}
	if err := l.addChanges(ctx, w, id, &t); err != nil {
		return Timeline{}, err
	}
	if begun := t.From.Add(beforeCreation); span.From.IsZero() && t.Before == nil && len(t.Changes) > 0 && t.Changes[0].At.After(begun) {
		t.From = t.Changes[0].At.Add(-beforeCreation) // there was nothing before
	}
	t.Step = StepOf(t.To.Sub(t.From), span.Buckets)
	if countCalls(t.Step) {
		if err := l.addCalls(ctx, w, id, &t); err != nil {
			return Timeline{}, err
		}
		t.NoteCalls(t.Calls)
	}
	for _, p := range probes {
		if !p.At.Before(t.From) {
			t.Probes = count(t.Probes, t.Step, p.At, p.Status == domain.Healthy, p.Duration)
		}
	}
	settle(t.Probes)
	if id != "" {
		t.States = states(probes, t.Changes, t.Before, t.From, t.To)
	}
	return t, l.addCandidates(ctx, w, id, &t)
}

// NoteCalls sets the calls of a timeline, and the onset that they show if probes show none.
func (t *Timeline) NoteCalls(calls []Bucket) {
	if t.Calls = calls; t.Onset == nil {
		t.Onset = brokenByCalls(calls)
	}
}

// probesUntil returns the probes of an integration before a time, oldest first.
func (l Log) probesUntil(ctx context.Context, w domain.Workspace, id domain.ID, to time.Time) ([]domain.Probe, error) {
	commits, _, err := l.Events.ProbePage(ctx, eventstore.Selection{Workspace: w, ID: id}, 0, keptProbes)
	if err != nil {
		return nil, err
	}
	var all []domain.Probe
	for _, c := range commits {
		if seen, ok := c.Event.(domain.IntegrationProbed); ok && seen.Probe.Status != "" && seen.Probe.At.Before(to) {
			all = append(all, seen.Probe)
		}
	}
	return all, nil
}

// addChanges adds the changes of the span, and the last one before it.
func (l Log) addChanges(ctx context.Context, w domain.Workspace, id domain.ID, t *Timeline) error {
	f := Filter{ID: id, To: t.To, Newest: true}
	beyond := uint64(0)
	for range maxChangePages {
		page, next, err := l.Feed(ctx, w, f, beyond, maxTimelineChanges)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.At.Before(t.From) && e.Authorization != nil {
				continue // the last change of the integration is looked for
			}
			if e.At.Before(t.From) {
				t.Before = &e
				next = 0
				break
			}
			if len(t.Changes) == maxTimelineChanges {
				t.MoreChanges, next = true, 0
				break
			}
			t.Changes = append(t.Changes, e)
		}
		if beyond = next; next == 0 {
			break
		}
	}
	t.MoreChanges = t.MoreChanges || beyond > 0
	slices.Reverse(t.Changes)
	return nil
}

// addCalls counts the calls of the span, the newest first, up to a bound.
func (l Log) addCalls(ctx context.Context, w domain.Workspace, id domain.ID, t *Timeline) error {
	f := Filter{ID: id, From: t.From, To: t.To, Newest: true, Calls: true}
	byStart, oldest := map[time.Time]*Bucket{}, t.To
	read, beyond := 0, uint64(0)
	for range maxCallPages {
		page, next, err := l.Feed(ctx, w, f, beyond, callsAtOnce)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Call == nil {
				continue
			}
			start := e.At.Truncate(t.Step)
			b := byStart[start]
			if b == nil {
				b = &Bucket{Start: start}
				byStart[start] = b
			}
			b.add(e.Call.Outcome == domain.CallOK, e.Call.Duration)
			if read++; read == maxTimelineCalls {
				t.CallsFrom, next = e.At, 0
				break
			}
			oldest = e.At
		}
		if beyond = next; next == 0 {
			break
		}
	}
	if beyond > 0 {
		t.CallsFrom = oldest
	}
	for _, b := range byStart {
		t.Calls = append(t.Calls, *b)
	}
	slices.SortFunc(t.Calls, func(a, b Bucket) int { return a.Start.Compare(b.Start) })
	settle(t.Calls)
	return nil
}

// addCandidates adds the changes in the day before the onset, the nearest first.
func (l Log) addCandidates(ctx context.Context, w domain.Workspace, id domain.ID, t *Timeline) error {
	if t.Onset == nil {
		return nil
	}
	page, _, err := l.Feed(ctx, w, Filter{ID: id, From: t.Onset.At.Add(-lookBack), To: t.Onset.At, Newest: true}, 0, maxCandidates)
	t.Onset.Before = page
	return err
}

// count adds something to the last of some buckets, or to a new one.
func count(all []Bucket, step time.Duration, at time.Time, ok bool, took time.Duration) []Bucket {
	start := at.Truncate(step)
	if len(all) == 0 || !all[len(all)-1].Start.Equal(start) {
		all = append(all, Bucket{Start: start})
	}
	all[len(all)-1].add(ok, took)
	return all
}

func (b *Bucket) add(ok bool, took time.Duration) {
	if ok {
		b.OK++
	} else {
		b.Failed++
	}
	b.durations = append(b.durations, took)
}

// settle computes what can only be known once everything is counted.
func settle(all []Bucket) {
	for n := range all {
		b := &all[n]
		slices.Sort(b.durations)
		if last := len(b.durations) - 1; last >= 0 {
			b.P95, b.Longest = b.durations[last*95/100], b.durations[last]
		}
		b.durations = nil
	}
}
