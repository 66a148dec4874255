package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/usage"
)

// timelineAnswer is what happened to an integration, or in a workspace.
type timelineAnswer struct {
	From         time.Time      `json:"from"`
	To           time.Time      `json:"to"`
	BucketMS     milliseconds   `json:"bucket_ms"`
	Onset        *onsetAnswer   `json:"onset"`
	Changes      []eventAnswer  `json:"changes"` // oldest first
	MoreChanges  bool           `json:"more_changes"`
	ChangeBefore *eventAnswer   `json:"change_before"`
	States       []stateAnswer  `json:"states"`
	Probes       []bucketAnswer `json:"probes"`
	Calls        []bucketAnswer `json:"calls"`
	CallsSince   *time.Time     `json:"calls_since"` // null: all are counted
}

type onsetAnswer struct {
	Time          time.Time     `json:"time"`
	ShownBy       string        `json:"shown_by"`
	LastHealthyAt *time.Time    `json:"last_healthy_at"`
	Status        string        `json:"status"`
	Message       *string       `json:"message"`
	ChangesBefore []eventAnswer `json:"changes_before"`
}

type stateAnswer struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Status  *string   `json:"status"` // null: not probed
	Message *string   `json:"message"`
}

type bucketAnswer struct {
	Start  time.Time    `json:"start"`
	OK     int          `json:"ok"`
	Failed int          `json:"failed"`
	P95MS  milliseconds `json:"p95_ms"`
}

// maxTimelineSpan bounds the time that a timeline shows: what is kept of calls, by default, and
// more than is kept of probes.
const maxTimelineSpan = 400 * 24 * time.Hour

func (s *Server) workspaceTimeline(r *request) (answer, error) { return s.timeline(r, "") }

func (s *Server) integrationTimeline(r *request) (answer, error) {
	if err := s.Audit.Known(r, r.workspace, r.id()); err != nil {
		return answer{}, err
	}
	return s.timeline(r, r.id())
}

func (s *Server) timeline(r *request, id domain.ID) (answer, error) {
	q := r.query()
	now := s.Now()
	span := audit.Span{From: q.time("from"), To: q.time("to"), Buckets: q.integer("buckets", 120, 12, 240)}
	to := span.To
	if to.IsZero() {
		to = now
	}
	if !span.From.IsZero() && (!span.From.Before(to) || to.Sub(span.From) > maxTimelineSpan) {
		q.problem("from", "range", "must be before to, and at most 400 days before it")
	}
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	// The hours that are counted anyway are exact, however many calls there are.
	byHour := func(step time.Duration) bool { return id != "" && step >= time.Hour && !r.key.NarrowsEndpoints() }
	t, err := s.Audit.Timeline(r, r.workspace, id, now, span, func(step time.Duration) bool { return !byHour(step) })
	if err != nil {
		return answer{}, err
	}
	if byHour(t.Step) {
		hours, err := s.Usage.Hours(r, domain.Ref{Workspace: r.workspace, ID: id}, now)
		if err != nil {
			return answer{}, err
		}
		t.NoteCalls(hourly(hours, t))
		if first := usage.First(now); t.From.Before(first) {
			t.CallsFrom = first
		}
	}
	return answer{status: http.StatusOK, body: showTimeline(t)}, nil
}

// hourly returns hours as the buckets of a timeline.
func hourly(hours []usage.Hour, t audit.Timeline) (all []audit.Bucket) {
	durations := map[time.Time]usage.Histogram{}
	for _, h := range hours {
		start := h.Start.Truncate(t.Step)
		if start.Before(t.From.Truncate(t.Step)) || !h.Start.Before(t.To) {
			continue
		}
		if len(all) == 0 || !all[len(all)-1].Start.Equal(start) {
			all, durations[start] = append(all, audit.Bucket{Start: start}), usage.Histogram{}
		}
		b := &all[len(all)-1]
		b.Failed += h.Counts.Errors()
		b.OK += h.Counts.Calls - h.Counts.Errors()
		durations[start].Merge(h.Counts.Durations)
		b.P95 = durations[start].Quantile(0.95)
	}
	return all
}

func showTimeline(t audit.Timeline) timelineAnswer {
	a := timelineAnswer{
		From: instant(t.From), To: instant(t.To), BucketMS: milliseconds(t.Step), Changes: showEntries(t.Changes), MoreChanges: t.MoreChanges,
		States: make([]stateAnswer, len(t.States)), Probes: showBuckets(t.Probes), Calls: showBuckets(t.Calls), CallsSince: nullable(instant(t.CallsFrom)),
	}
	if t.Before != nil {
		a.ChangeBefore = new(showEvent(*t.Before))
	}
	for n, is := range t.States {
		a.States[n] = stateAnswer{From: instant(is.From), To: instant(is.To), Status: nullable(string(is.Status)), Message: nullable(is.Message)}
	}
	if o := t.Onset; o != nil {
		a.Onset = &onsetAnswer{
			Time: instant(o.At), ShownBy: "probes", LastHealthyAt: nullable(instant(o.LastHealthy)), Status: o.Status, Message: nullable(o.Message),
			ChangesBefore: showEntries(o.Before),
		}
		if o.Calls {
			a.Onset.ShownBy = "calls"
		}
	}
	return a
}

func showEntries(all []audit.Entry) []eventAnswer {
	shown := make([]eventAnswer, len(all))
	for n, e := range all {
		shown[n] = showEvent(e)
	}
	return shown
}

func showBuckets(all []audit.Bucket) []bucketAnswer {
	shown := make([]bucketAnswer, len(all))
	for n, b := range all {
		shown[n] = bucketAnswer{Start: instant(b.Start), OK: b.OK, Failed: b.Failed, P95MS: milliseconds(b.P95)}
	}
	return shown
}
