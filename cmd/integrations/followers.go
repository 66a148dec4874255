package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/projections"
)

// followers tells how far each reader of a log is behind, and when it last got on.
// Those that keep a position in NATS are told by every process, whichever one they
// run in; the others by their own.
type followers struct {
	events  *eventstore.Store
	model   *projections.Live
	live    *audit.Live
	results *health.Results // nil: nobody waits for probes here

	mu   sync.Mutex
	kept []eventstore.Follower // as they were seen last
	at   time.Time
}

func followerDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("integrations_follower_"+name, help, []string{"follower"}, nil)
}

func (*followers) lag() *prometheus.Desc {
	return followerDesc("lag_events", "Events that a reader of a log is behind.")
}

func (*followers) lagSeconds() *prometheus.Desc {
	return followerDesc("lag_seconds", "Age of the first event that a reader of a log has not handled; 0: there is none.")
}

func (*followers) progress() *prometheus.Desc {
	return followerDesc("last_progress_timestamp_seconds", "When a reader of a log last got on, or had nothing left and was there to say so.")
}

// Describe implements prometheus.Collector.
func (f *followers) Describe(to chan<- *prometheus.Desc) {
	to <- f.lag()
	to <- f.lagSeconds()
	to <- f.progress()
}

// Collect implements prometheus.Collector.
func (f *followers) Collect(to chan<- prometheus.Metric) {
	tell := func(name string, lag uint64, progress time.Time) {
		to <- prometheus.MustNewConstMetric(f.lag(), prometheus.GaugeValue, float64(lag), name)
		if !progress.IsZero() {
			to <- prometheus.MustNewConstMetric(f.progress(), prometheus.GaugeValue, float64(progress.UnixMilli())/1000, name)
		}
	}
	now := clock()
	for _, k := range f.look(now) {
		name := followerName(k.Name)
		tell(name, k.Lag, k.Progress)
		age := 0.0
		if !k.Oldest.IsZero() {
			age = max(0, now.Sub(k.Oldest).Seconds())
		}
		to <- prometheus.MustNewConstMetric(f.lagSeconds(), prometheus.GaugeValue, age, name)
	}
	sight := f.model.Sight()
	tell("read-model/integrations", sight.Head.Integrations-sight.Shown.Integrations, sight.Moved)
	own := func(name string, head, position uint64, moved time.Time, reading bool) {
		if moved.IsZero() { // it doesn't run in this process
			return
		}
		lag := head - min(head, position)
		if lag == 0 && reading {
			moved = now
		}
		tell(name, lag, moved)
	}
	position, moved, reading := f.live.Standing()
	own("live-events/integrations", sight.Head.Integrations, position, moved, reading)
	if f.results != nil {
		position, moved, reading = f.results.Standing()
		own("probe-results/probes", sight.Head.Probes, position, moved, reading)
	}
}

// askEvery bounds how often NATS is asked, however often somebody scrapes.
const askEvery = time.Second

// look returns those that keep a position. When NATS doesn't answer they are as they
// were seen last, with progress as old as it is.
func (f *followers) look(now time.Time) []eventstore.Follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.at) >= askEvery {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if kept, err := f.events.Followers(ctx); err == nil {
			f.kept = kept
		}
		f.at = now
	}
	return f.kept
}

// followerName is the name of a position as metrics and status show it:
// webhooks/integrations for webhooks.integrations._all._all.
func followerName(position string) string {
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(position, "._all"), "._all"), ".", "/")
}
