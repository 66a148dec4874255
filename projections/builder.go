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

	// Archived returns every event of an archive of the log of integrations. The build then reads
	// of that log only what the archive does not have. Nil: there is no archive.
	Archived func(context.Context) (eventstore.Latest, error)
}

// Built is the progress or result of a build.
type Built struct {
	Generation     uint64
	Known          int // integrations in the log at the start, including deleted ones
	Integrations   int // integrations written
	Authorizations int
	Probes         int
	Refused        int // events that could not be applied
	Reached        Positions
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
	integrations, err := b.loadLog(ctx, store, built)
	if err != nil {
		return err
	}
	probes, err := b.loadAll(ctx, store, b.Events.LatestProbes, always(foldProbes), false, built)
	if err != nil {
		return err
	}
	approvals, err := b.loadAll(ctx, store, b.Events.LatestApprovals, always(foldApprovals), true, built)
	if err != nil {
		return err
	}
	if err := store.Index(ctx); err != nil {
		return err
	}
	built.Reached = Positions{Integrations: integrations, Probes: probes, Approvals: approvals}
	if err := store.Apply(ctx, Batch{Reached: built.Reached}); err != nil {
		return err
	}
	return b.catchUp(ctx, store, built)
}

// loadLog applies what the log of integrations leads to, up to the position that it returns.
func (b *Builder) loadLog(ctx context.Context, store Store, built *Built) (uint64, error) {
	if b.Archived != nil {
		archived, err := b.Archived(ctx)
		if err != nil {
			return 0, err
		}
		built.Known = archived.Known
		_, err = b.load(ctx, store, archived, always(fold), built)
		return archived.Position, err
	}
	integrations, err := b.loadAll(ctx, store, func(ctx context.Context) (eventstore.Latest, error) {
		latest, err := b.Events.Latest(ctx)
		built.Known = latest.Known
		return latest, err
	}, b.foldLast, true, built)
	if err != nil {
		return 0, err
	}
	_, err = b.loadAll(ctx, store, func(ctx context.Context) (eventstore.Latest, error) {
		return b.Events.LatestAuthorizations(ctx, "", "")
	}, always(fold), true, built)
	return integrations, err
}

// folding makes a batch of commits.
type folding func(context.Context, []eventstore.Commit) (Batch, []Parked, error)

// always is a folding that doesn't fail.
func always(fold func([]eventstore.Commit) (Batch, []Parked)) folding {
	return func(_ context.Context, commits []eventstore.Commit) (Batch, []Parked, error) {
		batch, refused := fold(commits)
		return batch, refused, nil
	}
}

// errMissed means that a log gave fewer events than it has.
var errMissed = errors.New("the log gave fewer of the last events than it has")

// maxLoads is how often a log is read that gave too few events. A NATS server with a million subjects
// under load was seen to skip one.
const maxLoads = 3

// loadAll applies the last events of one log, and returns the position up to which these are all.
// Of a log from which nothing is dropped it reads again what it was given too few of.
func (b *Builder) loadAll(ctx context.Context, store Store, read func(context.Context) (eventstore.Latest, error), fold folding, complete bool, built *Built) (uint64, error) {
	before := *built
	for try := 1; ; try++ {
		latest, err := read(ctx)
		if err != nil {
			return 0, err
		}
		got, err := b.load(ctx, store, latest, fold, built)
		switch {
		case err != nil:
			return 0, err
		case !complete || got >= latest.Known:
			return latest.Position, nil
		case try == maxLoads:
			return 0, Unavailable(fmt.Errorf("%w: %d of %d", errMissed, got, latest.Known))
		}
		b.Log.WarnContext(ctx, "the log gave fewer events than it has; reading it again", slog.Int("got", got), slog.Int("has", latest.Known))
		known := built.Known
		*built = before
		built.Known = known
	}
}

// load applies the last events of one log, and returns how many there were. It stores the position
// only at the end: before, the store doesn't show everything up to it.
func (b *Builder) load(ctx context.Context, store Store, latest eventstore.Latest, fold folding, built *Built) (got int, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	for s := range prepareAhead(running, latest, fold) {
		if s.err != nil {
			return got, s.err
		}
		if err := store.Apply(ctx, s.batch); err != nil {
			return got, err
		}
		recordRefused(ctx, b.Events, b.Log, s.refused)
		got += s.read
		built.Integrations += len(s.batch.Documents)
		built.Authorizations += len(s.batch.Authorizations)
		built.Probes += len(s.batch.Probes)
		built.Refused += len(s.refused)
		if b.Progress != nil {
			b.Progress(*built)
		}
	}
	return got, ctx.Err()
}

// step is a batch that was read from a log.
type step struct {
	read    int // commits
	batch   Batch
	refused []Parked
	err     error
}

// prepareAhead reads and encodes the batches of a log while the previous one is written. It ends with
// the log, the first error, or ctx.
func prepareAhead(ctx context.Context, latest eventstore.Latest, fold folding) <-chan step {
	steps := make(chan step, 1)
	go func() {
		defer close(steps)
		for commits, err := range latest.Commits {
			s := step{read: len(commits), err: err}
			if s.err == nil {
				s.batch, s.refused, s.err = fold(ctx, commits)
				s.batch.Reached = Positions{}
			}
			if s.err == nil {
				s.err = EncodeAll(s.batch.Documents)
			}
			select {
			case steps <- s:
			case <-ctx.Done():
				return
			}
			if s.err != nil {
				return
			}
		}
	}()
	return steps
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
	err = errors.Join(p.Wait(running, head.Integrations), p.WaitForProbe(running, head.Probes), p.WaitForApproval(running, head.Approvals))
	stop()
	if err := errors.Join(<-ended, err); err != nil {
		return err
	}
	built.Reached = Positions{Integrations: p.Position(), Probes: p.probes.Position(), Approvals: p.approvals.Position()}
	return nil
}
