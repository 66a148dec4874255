package health

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// Results delivers probe results to those who wait for them, whichever process made the
// probe. All waiters of a process share one reader of the log of probes.
type Results struct {
	events  *eventstore.Store
	log     *slog.Logger
	started chan struct{} // closed once every result recorded from then on is delivered

	mu      sync.Mutex
	at      uint64    // results were delivered up to here
	moved   time.Time // when at last changed
	reading bool      // the log is being read
	waiting map[domain.Ref]map[chan result]bool
}

// result is a probe result and its position.
type result struct {
	domain.IntegrationProbed
	position uint64
}

// NewResults returns results that are delivered while Run runs.
func NewResults(events *eventstore.Store, log *slog.Logger) *Results {
	return &Results{events: events, log: log, started: make(chan struct{}), waiting: map[domain.Ref]map[chan result]bool{}}
}

// Run reads the log of probes until ctx ends, and returns nil.
func (r *Results) Run(ctx context.Context) error {
	started := false
	for ctx.Err() == nil {
		var err error
		if !started {
			started, err = r.begin(ctx)
		}
		if err == nil {
			err = r.read(ctx)
		}
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "reading probe results failed; retrying", slog.Any("err", err))
		}
		streams.Wait(ctx, time.Second)
	}
	return nil
}

// begin determines the end of the log of probes.
func (r *Results) begin(ctx context.Context) (bool, error) {
	head, err := r.events.ProbeHead(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.moved = head, time.Now() //nolint:forbidigo // for metrics
	close(r.started)
	return true, nil
}

// Progress returns the position in the log of probes up to which results were delivered,
// and when it last changed. Reading reports whether the log is being read.
func (r *Results) Progress() (position uint64, moved time.Time, reading bool) {
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
	for commits, err := range r.events.ProbesAfter(ctx, r.at) { // only this goroutine changes it
		if err != nil {
			return err
		}
		for _, c := range commits {
			r.deliver(c)
		}
	}
	return ctx.Err()
}

func (r *Results) deliver(c eventstore.Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.moved = c.Position, time.Now() //nolint:forbidigo // for metrics
	seen, ok := c.Event.(domain.IntegrationProbed)
	if !ok {
		return
	}
	for to := range r.waiting[c.Ref()] {
		select {
		case to <- result{seen, c.Position}:
		default: // it has a result that it hasn't read yet
		}
	}
}

// watch returns the results of an integration that are recorded after a position, and a
// function that ends the watch.
func (r *Results) watch(of domain.Ref) (seen <-chan result, after uint64, end func()) {
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
