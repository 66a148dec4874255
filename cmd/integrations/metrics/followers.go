package metrics

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
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/usage"
)

// Followers collects how far each reader of a log is behind, and when it last made
// progress. Every process reports the readers that store their position in NATS; the
// others are reported by their own process.
type Followers struct {
	Events  *eventstore.Store
	Model   *projections.Live
	Live    *audit.Live
	Calls   *audit.Live // of calls
	Usage   *usage.Store
	Trees   *trees.Reader
	Results *health.Results // nil: nothing in this process waits for probes
	Now     func() time.Time

	mu     sync.Mutex
	stored []eventstore.Follower // as they were read last
	usage  eventstore.Follower   // of the log of calls, of which Head is known
	trees  []eventstore.Follower // one for each log
	readAt time.Time
}

func followerDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("integrations_follower_"+name, help, []string{"follower"}, nil)
}

func (*Followers) lag() *prometheus.Desc {
	return followerDesc("lag_events", "Events that a reader of a log is behind.")
}

func (*Followers) lagSeconds() *prometheus.Desc {
	return followerDesc("lag_seconds", "Age of the first event that a reader of a log has not handled; 0: there is none.")
}

func (*Followers) progress() *prometheus.Desc {
	return followerDesc("last_progress_timestamp_seconds", "When a reader of a log last made progress, or reported that nothing is left.")
}

// Describe implements prometheus.Collector.
func (f *Followers) Describe(to chan<- *prometheus.Desc) {
	to <- f.lag()
	to <- f.lagSeconds()
	to <- f.progress()
}

// Collect implements prometheus.Collector.
func (f *Followers) Collect(to chan<- prometheus.Metric) {
	send := func(name string, lag uint64, progress time.Time) {
		to <- prometheus.MustNewConstMetric(f.lag(), prometheus.GaugeValue, float64(lag), name)
		if !progress.IsZero() {
			to <- prometheus.MustNewConstMetric(f.progress(), prometheus.GaugeValue, float64(progress.UnixMilli())/1000, name)
		}
	}
	now := f.Now()
	stored, counter, proofs := f.read(now)
	for _, k := range stored {
		name := FollowerName(k.Name)
		send(name, k.Lag, k.Progress)
		age := 0.0
		if !k.Oldest.IsZero() {
			age = max(0, now.Sub(k.Oldest).Seconds())
		}
		to <- prometheus.MustNewConstMetric(f.lagSeconds(), prometheus.GaugeValue, age, name)
	}
	status := f.Model.Status()
	send("read-model/integrations", status.Head.Integrations-status.Shown.Integrations, status.Moved)
	own := func(name string, head, position uint64, moved time.Time, reading bool) {
		if moved.IsZero() { // it does not run in this process
			return
		}
		lag := head - min(head, position)
		if lag == 0 && reading {
			moved = now
		}
		send(name, lag, moved)
	}
	position, moved, reading := f.Live.Progress()
	own("live-events/integrations", status.Head.Integrations, position, moved, reading)
	position, moved, reading = f.Calls.Progress()
	own("live-calls/calls", counter.Head, position, moved, reading)
	if !counter.Progress.IsZero() {
		send(counter.Name, counter.Lag, counter.Progress)
	}
	for _, tree := range proofs {
		send(tree.Name, tree.Lag, tree.Progress)
	}
	if f.Results != nil {
		position, moved, reading = f.Results.Progress()
		own("probe-results/probes", status.Head.Probes, position, moved, reading)
	}
}

// readEvery bounds how often NATS is read, whatever the rate of scrapes.
const readEvery = time.Second

// read returns the readers that store a position in NATS. When NATS does not answer,
// it returns the previous result.
func (f *Followers) read(now time.Time) (stored []eventstore.Follower, counter eventstore.Follower, proofs []eventstore.Follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.readAt) >= readEvery {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if stored, err := f.Events.Followers(ctx); err == nil {
			f.stored = stored
		}
		if counter, err := f.Usage.Follower(ctx, f.Events, now); err == nil {
			f.usage = counter
		}
		if proofs, err := f.Trees.Followers(ctx, now); err == nil {
			f.trees = proofs
		}
		f.readAt = now
	}
	return f.stored, f.usage, f.trees
}

// FollowerName returns the name of a stored position as metrics and status show it:
// webhooks/integrations for webhooks.integrations._all._all.
func FollowerName(position string) string {
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(position, "._all"), "._all"), ".", "/")
}
