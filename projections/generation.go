package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// generation is one that is open, and what keeps it current.
type generation struct {
	number    uint64
	store     Store
	projector *Projector
	begun     progress       // at 1 once the projector has looked where to go on from
	using     sync.WaitGroup // those who read from it
	stop      context.CancelFunc
	ended     chan error // of the projector
}

func (g *generation) run(ctx context.Context) {
	ctx, g.stop = context.WithCancel(ctx)
	ended := make(chan error, 1)
	g.ended = ended
	go func() { ended <- g.projector.Run(ctx) }()
}

// halt ends the projector and waits until it has.
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

// ofAnotherLog reports whether what g shows has nothing to do with the log.
func (g *generation) ofAnotherLog() bool {
	select {
	case err := <-g.ended:
		g.ended <- err
		return errors.Is(err, ErrOtherLog)
	default:
		return false
	}
}

// reach returns once g is at or past the positions, and has begun to follow.
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
	if err := errors.Join(g.begun.Wait(ctx, 1), g.projector.Wait(ctx, at.Integrations), g.projector.WaitForProbe(ctx, at.Probes)); err != nil {
		return fmt.Errorf("bring generation %d of the read model as far as the one before: %w", g.number, errors.Join(context.Cause(ctx), err))
	}
	return nil
}
