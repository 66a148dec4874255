package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// generation is an open generation and its projector.
type generation struct {
	number    uint64
	store     Store
	projector *Projector
	started   progress       // at 1 once the projector knows where to continue
	using     sync.WaitGroup // its readers
	stop      context.CancelFunc
	ended     chan error // of the projector
}

func (g *generation) run(ctx context.Context) {
	ctx, g.stop = context.WithCancel(ctx)
	ended := make(chan error, 1)
	g.ended = ended
	go func() { ended <- g.projector.Run(ctx) }()
}

// halt stops the projector and waits for it.
func (g *generation) halt() {
	g.stop()
	g.ended <- <-g.ended
}

func (g *generation) end() error {
	g.halt()
	return g.store.Close()
}

func (g *generation) positions() Positions {
	return Positions{Integrations: g.projector.Position(), Probes: g.projector.probes.Position()}
}

// over returns why the projector of g has ended for good, nil while it runs.
func (g *generation) over() error {
	select {
	case err := <-g.ended:
		g.ended <- err
		return err
	default:
		return nil
	}
}

// check returns nil when the store is still the one that was opened. If it went back to an
// earlier state, the projector restarts from there.
func (g *generation) check(ctx context.Context, again func()) error {
	before := g.positions()
	at, err := g.store.Positions(ctx)
	switch {
	case err != nil:
		return err
	case at.Integrations < before.Integrations, at.Probes < before.Probes:
		g.halt()
		g.projector.standAt(at)
		again()
	}
	return nil
}

// gone reports whether the store was replaced, or is unusable.
func (g *generation) gone(ctx context.Context) bool {
	_, err := g.store.Positions(ctx)
	return errors.Is(err, ErrReplaced) || errors.Is(err, ErrUnusable)
}

// reach returns once g has reached the positions and has started to follow.
func (g *generation) reach(ctx context.Context, at Positions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := g.ended
	go func() {
		select {
		case err := <-ended:
			ended <- err
			cancel(err)
		case <-ctx.Done():
		}
	}()
	if err := errors.Join(g.started.Wait(ctx, 1), g.projector.Wait(ctx, at.Integrations), g.projector.WaitForProbe(ctx, at.Probes)); err != nil {
		return fmt.Errorf("catch up generation %d of the read model with the previous one: %w", g.number, errors.Join(context.Cause(ctx), err))
	}
	return nil
}
