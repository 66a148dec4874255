package audit

import (
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// brokenByProbes returns when an integration broke whose last probe failed: the first failure
// since it last was healthy. Probes are oldest first.
func brokenByProbes(probes []domain.Probe) *Onset {
	if len(probes) == 0 || probes[len(probes)-1].Status == domain.Healthy {
		return nil
	}
	first := len(probes) - 1
	for first > 0 && probes[first-1].Status != domain.Healthy {
		first--
	}
	o := &Onset{At: probes[first].At, Status: string(probes[first].Status), Message: probes[first].Message}
	if first > 0 {
		o.LastHealthy = probes[first-1].At
	}
	return o
}

const (
	fewestCalls = 5   // that say something about a bucket
	broken      = 0.5 // the share of failures from which it is one
)

// brokenByCalls returns when calls began to fail, if they still do at the end: the first bucket
// of the last run in which at least half of at least 5 calls failed. Buckets with fewer calls
// neither begin a run nor end one. It is nil when the calls failed from the first on: then
// nothing shows when that began.
func brokenByCalls(calls []Bucket) *Onset {
	var o *Onset
	before := false // there is a bucket that works
	for _, b := range calls {
		switch n := b.OK + b.Failed; {
		case n < fewestCalls:
		case float64(b.Failed) < broken*float64(n):
			o, before = nil, true
		case o == nil && before:
			o = &Onset{At: b.Start, Calls: true, Status: "calls_failing"}
		}
	}
	return o
}

// states returns the status of an integration over a span. Changes tell when it was disabled and
// deleted.
func states(probes []domain.Probe, changes []Entry, before *Entry, from, to time.Time) []State {
	type moment struct {
		at     time.Time
		status domain.ProbeStatus
		words  string
		probed bool
	}
	var all []moment
	for _, p := range probes {
		all = append(all, moment{p.At, p.Status, p.Message, true})
	}
	for _, e := range slices.Concat(optional(before), changes) {
		state := domain.Evolve(domain.Integration{}, e.event)
		switch {
		case e.event == nil, e.Authorization != nil: // which has no state of the integration
		case state.Deleted:
			all = append(all, moment{at: e.At, status: Deleted})
		case !state.Enabled:
			all = append(all, moment{at: e.At, status: Disabled})
		default:
			all = append(all, moment{at: e.At})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	var spans []State
	var probed, blocked moment // the last probe, and what a change set
	put := func(at time.Time) {
		now := State{From: maxTime(at, from), Status: probed.status, Message: probed.words}
		if blocked.status != "" {
			now.Status, now.Message = blocked.status, ""
		}
		if n := len(spans) - 1; n >= 0 && (spans[n].Status == now.Status || !now.From.After(spans[n].From)) {
			if spans[n].Status != now.Status {
				spans[n].Status, spans[n].Message = now.Status, now.Message
			}
			return
		}
		spans = append(spans, now)
	}
	put(from)
	for _, m := range all {
		switch {
		case m.probed:
			probed = m
		case m.status == Deleted:
			blocked, probed = m, moment{}
		default:
			blocked = m
		}
		put(m.at)
	}
	for n := range spans {
		if spans[n].To = to; n+1 < len(spans) {
			spans[n].To = spans[n+1].From
		}
	}
	return spans
}

func optional(e *Entry) []Entry {
	if e == nil {
		return nil
	}
	return []Entry{*e}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
