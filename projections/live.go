package projections

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
)

// Live is the live generation, kept current with the logs. When another one is
// promoted it goes over to that, and whoever reads notices nothing: it is brought
// as far as the one before, and only then read from. When none can be used it
// builds one. Any number of processes may do so on the same generations.
type Live struct {
	Events      *eventstore.Store
	Generations Generations
	Part        Part // of this process in keeping it current; default Applies
	Log         *slog.Logger
	Every       time.Duration // how often to look for another generation; 0: half a second

	mu      sync.RWMutex
	current *generation // nil before the first
	sight   Sight
	parked  time.Time // when those that are parked were counted last
	counted Positions // what was shown then

	begun    progress // at 1 once there is a generation
	progress progress
	probes   progress
}

// Sight is how everything stands.
type Sight struct {
	Generation uint64    // 0: none yet
	Shown      Positions // this moment
	Head       Positions // of the logs, half a second ago; at least what is shown
	Moved      time.Time // when what is shown moved last, or was all that there is
	Parked     int
}

// Stalled reports whether the log of integrations has more than is shown, and
// nothing has moved for a while.
func (s Sight) Stalled(now time.Time, while time.Duration) bool {
	return s.Shown.Integrations < s.Head.Integrations && now.Sub(s.Moved) > while
}

// Run keeps the read model current until ctx ends, and returns nil then.
func (l *Live) Run(ctx context.Context) error {
	every := l.Every
	if every <= 0 {
		every = 500 * time.Millisecond
	}
	defer l.leave()
	l.mu.Lock()
	l.sight.Moved = now()
	l.progress.wanted, l.probes.wanted = l.lookNow, l.lookNow
	l.mu.Unlock()
	for pause := firstPause; ctx.Err() == nil; {
		wait := every
		if err := l.turn(ctx); err == nil {
			pause = firstPause
		} else if ctx.Err() == nil {
			l.Log.WarnContext(ctx, "the read model can't be seen to; trying again",
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

// turn sees to it that what is read from is the live generation.
func (l *Live) turn(ctx context.Context) error {
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
	err = shown.over()
	if err == nil {
		err = shown.check(ctx, func() {
			l.Log.WarnContext(ctx, "the read model went back to an earlier state; going on from there", slog.Uint64("generation", n))
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

// measure notes where the logs end.
func (l *Live) measure(ctx context.Context) error {
	head, err := heads(ctx, l.Events)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sight.Head = head
	if l.progress.Position() >= head.Integrations {
		l.sight.Moved = now()
	}
	return nil
}

// countEvery is how often those that are parked are counted while nothing moves.
const countEvery = 10 * time.Second

// count notes which generation is shown, and how many are parked in it.
func (l *Live) count(ctx context.Context, g *generation) error {
	l.mu.Lock()
	due := l.sight.Generation != g.number || l.counted != g.positions() || now().Sub(l.parked) >= countEvery
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
	l.sight.Generation, l.sight.Parked = g.number, len(parked)
	l.parked, l.counted = now(), at
	return nil
}

// now is the time, for how long ago something was.
func now() time.Time { return time.Now() } //nolint:forbidigo // nothing is decided by it but how long to wait

// start opens what keeps a generation current.
func (l *Live) start(ctx context.Context, n uint64, store Store) *generation {
	g := &generation{number: n, store: store, projector: &Projector{
		Events: l.Events, Store: store, Part: l.Part, Log: l.Log, asked: make(chan struct{}, 1),
	}}
	g.projector.moved = func(at Positions, anyway bool) { l.follow(g, at, anyway); g.begun.move(1) }
	g.run(ctx)
	return g
}

// lookNow has the generation that is read from looked at, because somebody waits.
func (l *Live) lookNow() {
	if g := l.shown(); g != nil {
		g.projector.look()
	}
}

// follow moves along with the generation that is read from.
func (l *Live) follow(g *generation, at Positions, anyway bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != g {
		return
	}
	if at.Integrations > l.progress.Position() {
		l.sight.Moved = now()
	}
	if anyway {
		l.progress.move(at.Integrations)
		l.probes.move(at.Probes)
		return
	}
	l.progress.advance(at.Integrations)
	l.probes.advance(at.Probes)
}

// show makes g the generation that is read from.
func (l *Live) show(g *generation) {
	l.mu.Lock()
	l.current = g
	l.sight.Generation = g.number
	at := g.positions()
	l.progress.move(at.Integrations)
	l.probes.move(at.Probes)
	l.mu.Unlock()
	l.begun.move(1)
}

// leave ends the projector. The store stays open for those who still read.
func (l *Live) leave() {
	if g := l.shown(); g != nil {
		g.halt()
	}
}

func (l *Live) shown() *generation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.current
}

// Close lets go of the read model. Run has ended before.
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
