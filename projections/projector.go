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
	"github.com/seed677028b5/integrations/internal/tracing"
)

// A Mode decides whether a projector writes to a store that several processes share.
type Mode int

// The modes.
const (
	Writer   Mode = iota // writes, regardless of others
	Elected              // writes while elected, else only reads
	ReadOnly             // only reads
)

// Projector keeps a store current with the logs. Any number of them may write to one store at
// the same time. Those that share elect one of them, and another takes over within seconds.
type Projector struct {
	Events *eventstore.Store
	Store  Store
	Mode   Mode          // default Writer
	Every  time.Duration // how often a reader checks the store while it moves or somebody waits; default 20 ms
	Log    *slog.Logger
	Traces tracing.Tracer // default: nothing is traced

	progress
	probes    progress                        // in the log of probes
	approvals progress                        // in the log of approvals
	moved     func(at Positions, anyway bool) // called at each move of one log, and whether it may go back; may be nil
	asked     chan struct{}                   // somebody waits for a move
}

// WaitForProbe is Wait for a position in the log of probes.
func (p *Projector) WaitForProbe(ctx context.Context, position uint64) error {
	return p.probes.Wait(ctx, position)
}

// WaitForApproval is Wait for a position in the log of approvals.
func (p *Projector) WaitForApproval(ctx context.Context, position uint64) error {
	return p.approvals.Wait(ctx, position)
}

// The pause after a failure doubles each time.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// errOtherSubject is the reason for parking an event of another integration than the one whose
// subject it has.
var errOtherSubject = errors.New("the event is about another integration than its subject")

// ErrOtherLog means that a store was filled from another log: it is ahead of this one, or shows
// events that this one no longer has.
var ErrOtherLog = errors.New("the read model is of another log")

// Run applies the logs to the store, first history and then live, until ctx ends. It returns
// nil then. After a failure it continues from the positions of the store, so it skips nothing.
// ErrOtherLog, ErrReplaced and ErrUnusable end it.
func (p *Projector) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		before := p.Position()
		err := p.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrOtherLog), errors.Is(err, ErrReplaced), errors.Is(err, ErrUnusable):
			return err
		}
		if p.Position() != before {
			pause = firstPause
		}
		p.Log.WarnContext(ctx, "updating the read model failed; retrying",
			slog.Duration("pause", pause), slog.Any("err", err), slog.Any("cause", errors.Unwrap(err)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// follow applies the logs from the positions of the store until something fails.
func (p *Projector) follow(ctx context.Context) error {
	at, err := p.start(ctx)
	if err != nil {
		return err
	}
	p.setPositions(at)
	if p.Mode == Writer {
		return p.apply(ctx, at)
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return p.watch(ctx) })
	if p.Mode == Elected {
		parts.Go(func() error { return p.Events.Lead(ctx, leaseOf(p.Store), p.lead) })
	}
	return parts.Wait()
}

// leaseOf returns the lease of the writer of a store. It uses the identity and not the name:
// two servers may have databases with the same name.
func leaseOf(s Store) string { return "projector-" + s.Identity() }

// lead applies the logs while the lease is held.
func (p *Projector) lead(ctx context.Context) error {
	at, err := p.start(ctx)
	if err != nil {
		return err
	}
	return p.apply(ctx, at)
}

// apply applies the logs after the positions.
func (p *Projector) apply(ctx context.Context, at Positions) error {
	tails, ctx := errgroup.WithContext(ctx)
	tails.Go(func() error {
		h := &handover{projector: p, ctx: ctx, at: at.Integrations, waiting: map[uint64]eventstore.Commit{}}
		return h.follow(p.Events.After(ctx, at.Integrations))
	})
	tails.Go(func() error {
		return p.tail(ctx, p.Events.ProbesAfter(ctx, at.Probes), Positions{Probes: at.Probes}, foldProbes)
	})
	tails.Go(func() error {
		return p.tail(ctx, p.Events.ApprovalsAfter(ctx, at.Approvals), Positions{Approvals: at.Approvals}, foldApprovals)
	})
	return tails.Wait()
}

// maxPause is the longest pause between checks while nothing moves and nobody waits.
const maxPause = time.Second

// watch checks the positions of the store, which any process may write: often while it moves or somebody
// waits, and less often otherwise.
func (p *Projector) watch(ctx context.Context) error {
	often := p.Every
	if often <= 0 {
		often = 20 * time.Millisecond
	}
	var before Positions
	for pause := often; ; pause = min(pause+pause/2, max(maxPause, often)) {
		select {
		case <-time.After(pause):
		case <-p.asked:
			pause = often
		case <-ctx.Done():
			return ctx.Err()
		}
		at, err := p.Store.Positions(ctx)
		if err != nil {
			return err
		}
		if at != before {
			pause, before = often, at
		}
		p.advanceTo(at)
	}
}

// wake makes watch check the store now, because somebody waits.
func (p *Projector) wake() {
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// start returns the positions to continue from.
func (p *Projector) start(ctx context.Context) (Positions, error) {
	return reached(ctx, p.Events, p.Store)
}

// reached returns the positions of a store in the present logs. The error wraps ErrOtherLog when
// it was filled from another log.
func reached(ctx context.Context, events *eventstore.Store, s Store) (Positions, error) {
	at, err := s.Positions(ctx)
	if err != nil {
		return Positions{}, err
	}
	head, err := heads(ctx, events)
	if err != nil {
		return Positions{}, err
	}
	if at.Integrations > head.Integrations || at.Probes > head.Probes || at.Approvals > head.Approvals {
		return Positions{}, fmt.Errorf("%w: it shows %d of %d events, %d of %d probes and %d of %d events of approvals", ErrOtherLog,
			at.Integrations, head.Integrations, at.Probes, head.Probes, at.Approvals, head.Approvals)
	}
	return at, checkLog(ctx, events, s, at)
}

// heads returns the heads of the logs.
func heads(ctx context.Context, events *eventstore.Store) (Positions, error) {
	integrations, err := events.Head(ctx)
	if err != nil {
		return Positions{}, err
	}
	probes, err := events.ProbeHead(ctx)
	if err != nil {
		return Positions{}, err
	}
	approvals, err := events.ApprovalHead(ctx)
	return Positions{Integrations: integrations, Probes: probes, Approvals: approvals}, err
}

// advanceTo advances the positions. Zero changes nothing.
func (p *Projector) advanceTo(at Positions) {
	p.advance(at.Integrations)
	p.probes.advance(at.Probes)
	p.approvals.advance(at.Approvals)
	if p.moved != nil {
		p.moved(at, false)
	}
}

// setPositions sets the positions, even backwards.
func (p *Projector) setPositions(at Positions) {
	p.move(at.Integrations)
	p.probes.move(at.Probes)
	p.approvals.move(at.Approvals)
	if p.moved != nil {
		p.moved(at, true)
	}
}

// tail applies each batch of a log, on the condition that the store is where the previous one
// left it.
func (p *Projector) tail(ctx context.Context, log iter.Seq2[[]eventstore.Commit, error], from Positions, fold func([]eventstore.Commit) (Batch, []Parked)) error {
	for commits, err := range log {
		if err != nil {
			return err
		}
		if from, err = p.applyAfter(ctx, from, commits, fold); err != nil {
			return err
		}
	}
	return fmt.Errorf("the log ended: %w", context.Cause(ctx))
}

// applyAfter applies events on the condition that the store is at a position, and returns the
// position that it has reached.
func (p *Projector) applyAfter(ctx context.Context, from Positions, commits []eventstore.Commit, fold func([]eventstore.Commit) (Batch, []Parked)) (Positions, error) {
	b, refused := fold(commits)
	b.From = &from
	end := traceBatch(ctx, p.Traces, commits)
	err := p.Store.Apply(ctx, b)
	end(err)
	if err != nil {
		return from, err
	}
	p.advanceTo(b.Reached)
	recordRefused(ctx, p.Events, p.Log, refused)
	return b.Reached, nil
}

// recordRefused records the events that could not be applied as dead letters. A failure is only
// logged: the integrations are parked already, and the next process that reads the event tries
// again. It stops at the first failure, so as not to wait for each of them.
func recordRefused(ctx context.Context, events *eventstore.Store, log *slog.Logger, refused []Parked) {
	recording := true
	for _, r := range refused {
		where := slog.Group("", slog.String("workspace_id", string(r.Workspace)), slog.String("integration_id", string(r.ID)), slog.Uint64("position", r.Position))
		log.ErrorContext(ctx, "an event can't be applied; its integration is shown as it was before", where, slog.String("reason", r.Reason))
		if !recording {
			continue
		}
		if err := events.DeadLetter(ctx, r.Workspace, r.ID, r.Position, r.Reason); err != nil && ctx.Err() == nil {
			recording = false
			log.WarnContext(ctx, "recording a dead letter failed", where, slog.Any("err", err), slog.Any("cause", errors.Unwrap(err)))
		}
	}
}
