package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/eventstore"
)

// Projector keeps a store current with the logs. Any number may write to one
// store at the same time.
type Projector struct {
	Events *eventstore.Store
	Store  Store
	Log    *slog.Logger

	progress
	probes progress // in the log of probes
}

// WaitForProbe is Wait for a position in the log of probes.
func (p *Projector) WaitForProbe(ctx context.Context, position uint64) error {
	return p.probes.Wait(ctx, position)
}

// How long a projector pauses after a failure: twice as long each time.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// errOtherSubject is why an event is parked that tells of another integration
// than the one whose history it is in.
var errOtherSubject = errors.New("the event is about another integration than its subject")

// Run applies the logs to the store, history first and then live, until ctx
// ends, and returns nil then. Whatever fails is tried again from where the
// store is, so nothing is passed over.
func (p *Projector) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		before := p.Position()
		err := p.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if p.Position() != before {
			pause = firstPause
		}
		p.Log.WarnContext(ctx, "the read model is not kept current; trying again",
			slog.Duration("pause", pause), slog.Any("err", err), slog.Any("cause", errors.Unwrap(err)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// follow applies both logs from where the store is until something fails.
func (p *Projector) follow(ctx context.Context) error {
	at, err := p.start(ctx)
	if err != nil {
		return err
	}
	p.move(at.Integrations)
	p.probes.move(at.Probes)
	tails, ctx := errgroup.WithContext(ctx)
	tails.Go(func() error {
		return p.tail(ctx, p.Events.After(ctx, at.Integrations), fold)
	})
	tails.Go(func() error {
		return p.tail(ctx, p.Events.ProbesAfter(ctx, at.Probes), foldProbes)
	})
	return tails.Wait()
}

// start returns the positions to go on from. A store that is ahead of a log
// was filled from another one, so it is emptied.
func (p *Projector) start(ctx context.Context) (Positions, error) {
	at, err := p.Store.Positions(ctx)
	if err != nil {
		return Positions{}, err
	}
	integrations, err := p.Events.Head(ctx)
	if err != nil {
		return Positions{}, err
	}
	probes, err := p.Events.ProbeHead(ctx)
	if err != nil {
		return Positions{}, err
	}
	if at.Integrations <= integrations && at.Probes <= probes {
		return at, nil
	}
	p.Log.WarnContext(ctx, "the read model is ahead of the log, so it is of another one; building it anew",
		slog.Uint64("integrations", at.Integrations), slog.Uint64("integrations_log", integrations),
		slog.Uint64("probes", at.Probes), slog.Uint64("probes_log", probes))
	return Positions{}, p.Store.Reset(ctx)
}

// tail applies each batch of a log as it comes.
func (p *Projector) tail(ctx context.Context, log iter.Seq2[[]eventstore.Commit, error], fold func([]eventstore.Commit) Batch) error {
	for commits, err := range log {
		if err != nil {
			return err
		}
		b := fold(commits)
		if err := p.Store.Apply(ctx, b); err != nil {
			return err
		}
		for _, parked := range b.Parked {
			p.Log.ErrorContext(ctx, "an event can't be applied; its integration is shown as it was before",
				slog.String("workspace_id", string(parked.Workspace)), slog.String("integration_id", string(parked.ID)),
				slog.Uint64("position", parked.Position), slog.String("reason", parked.Reason))
		}
		if b.Reached.Integrations > 0 {
			p.move(b.Reached.Integrations)
		}
		if b.Reached.Probes > 0 {
			p.probes.move(b.Reached.Probes)
		}
	}
	return fmt.Errorf("the log ended: %w", context.Cause(ctx))
}
