package projections

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// Live is the live generation, kept current with the logs. When another generation is promoted
// it switches to that, unnoticed by readers: the new one first catches up with the old one.
// When none is usable it builds one. Any number of processes may share the same generations.
type Live struct {
	Events      *eventstore.Store
	Generations Generations
	Mode        Mode // how this process keeps it current; default Writer
	Log         *slog.Logger
	Traces      tracing.Tracer // default: nothing is traced
	Every       time.Duration  // how often to check for another generation; 0: half a second

	mu      sync.RWMutex
	current *generation // nil before the first
	status  Status
	parked  time.Time // when the parked integrations were last counted
	counted Positions // the positions at that time

	started   progress // at 1 once there is a generation
	progress  progress
	probes    progress
	approvals progress
}

// Status describes the read model.
type Status struct {
	Generation uint64    // 0: none yet
	Shown      Positions // the positions shown now
	Head       Positions // of the logs, up to half a second ago; at least Shown
	Moved      time.Time // when Shown last changed, or had reached Head
	Parked     int
}

// Stalled reports whether the log of integrations is ahead of the read model, and nothing has
// changed for a while.
func (s Status) Stalled(now time.Time, while time.Duration) bool {
	return s.Shown.Integrations < s.Head.Integrations && now.Sub(s.Moved) > while
}

// Run keeps the read model current until ctx ends. It returns nil.
func (l *Live) Run(ctx context.Context) error {
	every := l.Every
	if every <= 0 {
		every = 500 * time.Millisecond
	}
	defer l.leave()
	l.mu.Lock()
	l.status.Moved = now()
	l.progress.wanted, l.probes.wanted, l.approvals.wanted = l.wake, l.wake, l.wake
	l.mu.Unlock()
	for pause := firstPause; ctx.Err() == nil; {
		wait := every
		if err := l.showLive(ctx); err == nil {
			pause = firstPause
		} else if ctx.Err() == nil {
			l.Log.WarnContext(ctx, "maintaining the read model failed; retrying",
				slog.Duration("pause", pause), slog.Any("err", err), slog.Any("cause", errors.Unwrap(err)))
			wait, pause = pause, min(2*pause, longestPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return nil
}

// showLive makes sure that the live generation is the one shown.
func (l *Live) showLive(ctx context.Context) error {
	if err := l.measure(ctx); err != nil {
		return err
	}
	n, err := l.Generations.Live(ctx)
	if err != nil {
		return err
	}
	shown := l.shown()
	switch {
	case n == 0:
		return l.build(ctx, shown, nil)
	case shown == nil || shown.number != n:
		return l.adopt(ctx, shown, n)
	}
	err = shown.ended()
	if err == nil {
		err = shown.check(ctx, func() {
			l.Log.WarnContext(ctx, "the read model went back to an earlier state; continuing from there", slog.Uint64("generation", n))
			shown.run(ctx)
		})
	}
	switch {
	case errors.Is(err, ErrReplaced):
		return l.adopt(ctx, shown, n)
	case errors.Is(err, ErrOtherLog), errors.Is(err, ErrUnusable):
		return l.build(ctx, shown, err)
	case err != nil:
		return err
	}
	return l.count(ctx, shown)
}

// measure reads the heads of the logs.
func (l *Live) measure(ctx context.Context) error {
	head, err := heads(ctx, l.Events)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Head = head
	if l.progress.Position() >= head.Integrations {
		l.status.Moved = now()
	}
	return nil
}

// countEvery is how often the parked integrations are counted while nothing changes.
const countEvery = 10 * time.Second

// count records which generation is shown, and how many integrations are parked in it.
func (l *Live) count(ctx context.Context, g *generation) error {
	l.mu.Lock()
	due := l.status.Generation != g.number || l.counted != g.positions() || now().Sub(l.parked) >= countEvery
	l.mu.Unlock()
	if !due {
		return nil
	}
	at := g.positions()
	parked, err := g.store.Parked(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Generation, l.status.Parked = g.number, len(parked)
	l.parked, l.counted = now(), at
	return nil
}

// now returns the time for measuring intervals.
func now() time.Time { return time.Now() } //nolint:forbidigo // only for intervals

// start creates the projector of a generation.
func (l *Live) start(ctx context.Context, n uint64, store Store) *generation {
	g := &generation{number: n, store: store, projector: &Projector{
		Events: l.Events, Store: store, Mode: l.Mode, Log: l.Log, Traces: l.Traces, asked: make(chan struct{}, 1),
	}}
	g.projector.moved = func(at Positions, anyway bool) { l.follow(g, at, anyway); g.started.move(1) }
	g.run(ctx)
	return g
}

// wake makes the shown generation check its position now, because somebody waits.
func (l *Live) wake() {
	if g := l.shown(); g != nil {
		g.projector.wake()
	}
}

// follow updates the progress from the shown generation.
func (l *Live) follow(g *generation, at Positions, anyway bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != g {
		return
	}
	if at.Integrations > l.progress.Position() {
		l.status.Moved = now()
	}
	if anyway {
		l.progress.move(at.Integrations)
		l.probes.move(at.Probes)
		l.approvals.move(at.Approvals)
		return
	}
	l.progress.advance(at.Integrations)
	l.probes.advance(at.Probes)
	l.approvals.advance(at.Approvals)
}

// show makes g the generation that is read.
func (l *Live) show(g *generation) {
	l.mu.Lock()
	l.current = g
	l.status.Generation = g.number
	at := g.positions()
	l.progress.move(at.Integrations)
	l.probes.move(at.Probes)
	l.approvals.move(at.Approvals)
	l.mu.Unlock()
	l.started.move(1)
}

// leave stops the projector. The store stays open for present readers.
func (l *Live) leave() {
	if g := l.shown(); g != nil {
		g.stop()
	}
}

func (l *Live) shown() *generation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.current
}

// Close closes the read model. Call it after Run has ended.
func (l *Live) Close() error {
	l.mu.Lock()
	g := l.current
	l.current = nil
	l.mu.Unlock()
	if g == nil {
		return nil
	}
	g.using.Wait()
	return g.end()
}
