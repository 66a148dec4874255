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
	at      uint64    // told up to here
	moved   time.Time // when at moved last
	reading bool      // the log is being read, so what comes is told
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
	begun := false
	for ctx.Err() == nil {
		var err error
		if !begun {
			begun, err = r.begin(ctx)
		}
		if err == nil {
			err = r.read(ctx)
		}
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "results of probes can't be read; trying again", slog.Any("err", err))
		}
		pause(ctx, time.Second)
	}
	return nil
}

// begin finds out where the log of probes ends.
func (r *Results) begin(ctx context.Context) (bool, error) {
	head, err := r.events.ProbeHead(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.moved = head, time.Now() //nolint:forbidigo // for metrics
	close(r.begun)
	return true, nil
}

// Standing returns the position in the log of probes up to which those who wait
// were told, and when it last moved. Reading reports whether the log is being read.
func (r *Results) Standing() (position uint64, moved time.Time, reading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at, r.moved, r.reading
}

func (r *Results) read(ctx context.Context) error {
	r.mu.Lock()
	r.reading = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reading = false
	}()
	for commits, err := range r.events.ProbesAfter(ctx, r.at) { // which only this goroutine changes
		if err != nil {
			return err
		}
		for _, c := range commits {
			r.tell(c)
		}
	}
	return ctx.Err()
}

func (r *Results) tell(c eventstore.Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.moved = c.Position, time.Now() //nolint:forbidigo // for metrics
	seen, ok := c.Event.(domain.IntegrationProbed)
	if !ok {
		return
	}
	for to := range r.waiting[key{c.Workspace, c.ID}] {
		select {
		case to <- result{seen, c.Position}:
		default: // it has one that it has not looked at
		}
	}
}

// watch returns what every probe of an integration sees that is recorded after
// a position, and a function that ends that.
func (r *Results) watch(of key) (seen <-chan result, after uint64, end func()) {
	to := make(chan result, 2)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[of] == nil {
		r.waiting[of] = map[chan result]bool{}
	}
	r.waiting[of][to] = true
	return to, r.at, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting[of], to)
		if len(r.waiting[of]) == 0 {
			delete(r.waiting, of)
		}
	}
}
