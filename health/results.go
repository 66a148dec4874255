package health

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Results tells those who wait for a probe what it saw, whoever made it. All of
// a process share one reader of the log of probes.
type Results struct {
	events *eventstore.Store
	log    *slog.Logger
	begun  chan struct{} // closed once nothing that is recorded from then on is missed

	mu      sync.Mutex
	waiting map[key]map[chan result]bool
}

// key tells integrations of all workspaces apart.
type key struct {
	workspace domain.Workspace
	id        domain.ID
}

// result is what a probe saw, and where that is recorded.
type result struct {
	domain.IntegrationProbed
	position uint64
}

// NewResults returns results that are told while Run runs.
func NewResults(events *eventstore.Store, log *slog.Logger) *Results {
	return &Results{events: events, log: log, begun: make(chan struct{}), waiting: map[key]map[chan result]bool{}}
}

// Run reads the log of probes until ctx ends, and returns nil then.
func (r *Results) Run(ctx context.Context) error {
	var at uint64
	begun := false
	for ctx.Err() == nil {
		var err error
		if !begun {
			if at, err = r.events.ProbeHead(ctx); err == nil {
				begun = true
				close(r.begun)
			}
		}
		if err == nil {
			at, err = r.read(ctx, at)
		}
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "results of probes can't be read; trying again", slog.Any("err", err))
		}
		pause(ctx, time.Second)
	}
	return nil
}

func (r *Results) read(ctx context.Context, at uint64) (uint64, error) {
	for commits, err := range r.events.ProbesAfter(ctx, at) {
		if err != nil {
			return at, err
		}
		for _, c := range commits {
			at = c.Position
			if probed, ok := c.Event.(domain.IntegrationProbed); ok {
				r.tell(key{c.Workspace, c.ID}, result{probed, c.Position})
			}
		}
	}
	return at, ctx.Err()
}

func (r *Results) tell(of key, seen result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for to := range r.waiting[of] {
		select {
		case to <- seen:
		default: // it has one that it has not looked at
		}
	}
}

// watch returns what every probe of an integration sees from now on, and a
// function that ends that.
func (r *Results) watch(of key) (seen <-chan result, end func()) {
	to := make(chan result, 2)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[of] == nil {
		r.waiting[of] = map[chan result]bool{}
	}
	r.waiting[of][to] = true
	return to, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting[of], to)
		if len(r.waiting[of]) == 0 {
			delete(r.waiting, of)
		}
	}
}
