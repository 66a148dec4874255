package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/seed677028b5/integrations/eventstore"
)

// Builder builds a generation from the logs and makes it live. It reads only the last event
// of each integration, which carries the state.
type Builder struct {
	Events      *eventstore.Store
	Generations Generations
	Log         *slog.Logger
	Progress    func(Built) // called after each batch; may be nil
}

// Built is the progress or result of a build.
type Built struct {
	Generation   uint64
	Known        int // integrations in the log at the start, including deleted ones
	Integrations int // integrations written
	Probes       int
	Refused      int // events that could not be applied
	Reached      Positions
}

// Run builds a generation. An interrupted build changes nothing; the next build deletes what
// it left.
func (b *Builder) Run(ctx context.Context) (Built, error) {
	n, store, err := b.Generations.Create(ctx)
	if err != nil {
		return Built{}, err
	}
	b.Log.InfoContext(ctx, "building the read model from the log", slog.Uint64("generation", n))
	built := Built{Generation: n}
	err = b.fill(ctx, store, &built)
	if err == nil {
		err = b.Generations.Promote(ctx, n)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return built, fmt.Errorf("build generation %d of the read model: %w", n, err)
	}
	if err := b.Generations.Sweep(ctx); err != nil {
		b.Log.WarnContext(ctx, "deleting earlier generations of the read model failed; the next rebuild tries again", slog.Any("err", err))
	}
	return built, nil
}

// fill loads the last events, and then applies new ones until it has caught up with the
// logs.
func (b *Builder) fill(ctx context.Context, store Store, built *Built) error {
	if err := fillFrom(ctx, b.Events, store); err != nil {
		return err
	}
	integrations, err := b.Events.Latest(ctx)
	if err != nil {
		return err
	}
	built.Known = integrations.Known
	if err := b.load(ctx, store, integrations, b.foldLast, built); err != nil {
		return err
	}
	probes, err := b.Events.LatestProbes(ctx)
	if err != nil {
		return err
	}
	if err := b.load(ctx, store, probes, func(_ context.Context, commits []eventstore.Commit) (Batch, []Parked, error) {
		batch, refused := foldProbes(commits)
		return batch, refused, nil
	}, built); err != nil {
		return err
	}
	if err := store.Index(ctx); err != nil {
		return err
	}
	built.Reached = Positions{Integrations: integrations.Position, Probes: probes.Position}
	if err := store.Apply(ctx, Batch{Reached: built.Reached}); err != nil {
		return err
	}
	return b.catchUp(ctx, store, built)
}

// load applies the last events of one log. It stores the position only at the end: before,
// the store doesn't show everything up to it.
func (b *Builder) load(ctx context.Context, store Store, latest eventstore.Latest,
	fold func(context.Context, []eventstore.Commit) (Batch, []Parked, error), built *Built,
) error {
	for commits, err := range latest.Commits {
		if err != nil {
			return err
		}
		batch, refused, err := fold(ctx, commits)
		if err != nil {
			return err
		}
		batch.Reached = Positions{}
		if err := store.Apply(ctx, batch); err != nil {
			return err
		}
		recordRefused(ctx, b.Events, b.Log, refused)
		built.Integrations += len(batch.Documents)
		built.Probes += len(batch.Probes)
		built.Refused += len(refused)
		if b.Progress != nil {
			b.Progress(*built)
		}
	}
	return ctx.Err()
}

// foldLast is fold for last events. If one can't be applied, the integration stays as the events
// before it left it.
func (b *Builder) foldLast(ctx context.Context, commits []eventstore.Commit) (Batch, []Parked, error) {
	var all []eventstore.Commit
	for _, c := range commits {
		if _, err := applied(c); err != nil {
			before, err := b.lastApplied(ctx, c)
			if err != nil {
				return Batch{}, nil, err
			}
			all = append(all, before...)
		}
		all = append(all, c)
	}
	batch, refused := fold(all)
	return batch, refused, nil
}

// lastApplied returns the last event before c on its integration that can be applied, if
// there is one.
func (b *Builder) lastApplied(ctx context.Context, c eventstore.Commit) ([]eventstore.Commit, error) {
	var last []eventstore.Commit
	for after := uint64(0); ; {
		event, err := b.Events.Next(ctx, c.Workspace, c.ID, after)
		if err != nil {
			return nil, err
		}
		if event.Position == 0 || event.Position >= c.Position {
			return last, nil
		}
		if _, err := applied(event); err == nil {
			last = []eventstore.Commit{event}
		}
		after = event.Position
	}
}

// catchUp applies the events recorded during the load.
func (b *Builder) catchUp(ctx context.Context, store Store, built *Built) error {
	head, err := heads(ctx, b.Events)
	if err != nil {
		return err
	}
	p := &Projector{Events: b.Events, Store: store, Log: b.Log}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := p.Run(running)
		stop()
		ended <- err
	}()
	err = errors.Join(p.Wait(running, head.Integrations), p.WaitForProbe(running, head.Probes))
	stop()
	if err := errors.Join(<-ended, err); err != nil {
		return err
	}
	built.Reached = Positions{Integrations: p.Position(), Probes: p.probes.Position()}
	return nil
}
