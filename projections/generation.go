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
	cancel    context.CancelFunc
	result    chan error // of the projector
}

func (g *generation) run(ctx context.Context) {
	ctx, g.cancel = context.WithCancel(ctx)
	result := make(chan error, 1)
	g.result = result
	go func() { result <- g.projector.Run(ctx) }()
}

// stop stops the projector and waits for it.
func (g *generation) stop() {
	g.cancel()
	g.result <- <-g.result
}

func (g *generation) end() error {
	g.stop()
	return g.store.Close()
}

func (g *generation) positions() Positions {
	return Positions{Integrations: g.projector.Position(), Probes: g.projector.probes.Position(), Approvals: g.projector.approvals.Position()}
}

// ended returns why the projector of g has ended for good, nil while it runs.
func (g *generation) ended() error {
	select {
	case err := <-g.result:
		g.result <- err
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
	case at.Integrations < before.Integrations, at.Probes < before.Probes, at.Approvals < before.Approvals:
		g.stop()
		g.projector.setPositions(at)
		again()
	}
	return nil
}

// lost reports whether the store was replaced, or is unusable.
func (g *generation) lost(ctx context.Context) bool {
	_, err := g.store.Positions(ctx)
	return errors.Is(err, ErrReplaced) || errors.Is(err, ErrUnusable)
}

// reach returns once g has reached the positions and has started to follow.
func (g *generation) reach(ctx context.Context, at Positions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	result := g.result
	go func() {
		select {
		case err := <-result:
			result <- err
			cancel(err)
		case <-ctx.Done():
		}
	}()
	if err := errors.Join(g.started.Wait(ctx, 1), g.projector.Wait(ctx, at.Integrations), g.projector.WaitForProbe(ctx, at.Probes), g.projector.WaitForApproval(ctx, at.Approvals)); err != nil {
		return fmt.Errorf("catch up generation %d of the read model with the previous one: %w", g.number, errors.Join(context.Cause(ctx), err))
	}
	return nil
}
