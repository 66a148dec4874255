package approvals

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// A Maker makes approved calls.
type Maker interface {
	// Current returns the integration as it is now, which may be deleted.
	Current(ctx context.Context, w domain.Workspace, id domain.ID) (domain.Integration, error)
	// MayMake refuses with Forbidden a call that who asked for it may not make any more.
	MayMake(i domain.Integration, p domain.Approval, r Request) error
	// Make sends the call of an approval, once, and records that. An error means that nothing
	// was sent.
	Make(ctx context.Context, p domain.Approval, r Request) (domain.CallResult, error)
	// Destroy destroys values of the vault. It refuses during a backup.
	Destroy(ctx context.Context, o domain.Owner, refs []domain.SecretRef) error
}

const (
	leaseName    = "approvals"
	tick         = time.Second      // between looks at what is due
	maxMaking    = 32               // calls of one process at once
	maxMakingOf  = 8                // of one workspace
	makeWithin   = 3 * time.Minute  // of one call, and of recording it; a call takes 2 minutes at most
	recordWithin = 20 * time.Second // after the service was asked to end
	lostAfter    = 5 * time.Second  // that a call started by another process must have been seen for
)

// Run makes approved calls, records what expired, and destroys what was kept long enough,
// until ctx ends. Of all processes that run it, one does. It ends once the calls that it has
// started are recorded, or could not be.
func (a *Approvals) Run(ctx context.Context, m Maker) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var working sync.WaitGroup
	err := a.Events.Lead(ctx, leaseName, func(ctx context.Context) error {
		for ctx.Err() == nil {
			r := &runner{Approvals: a, maker: m, calls: calls, working: &working, open: map[key]*entry{}}
			if err := r.run(ctx); ctx.Err() == nil {
				a.Log.WarnContext(ctx, "approved calls are not made; trying again", slog.Any("err", err))
				streams.Wait(ctx, tick)
			}
		}
		return nil
	})
	ended := make(chan struct{})
	go func() { working.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(recordWithin):
		cancel()
		<-ended
	}
	return err
}

// runner follows the approvals that are not over, or whose values are kept.
type runner struct {
	*Approvals
	maker   Maker
	calls   context.Context // of the calls, which outlive the lease
	working *sync.WaitGroup
	open    map[key]*entry
	read    uint64 // the position up to which events were read
	saved   uint64
}

type entry struct {
	domain.Approval
	position uint64
	seen     time.Time // when this state was seen first
}

// run follows the log until something fails. It begins at the first event of an approval that
// was open when the last position was saved.
func (r *runner) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := r.Events.Lineage().ID()
	var err error
	if r.read, _, err = r.Events.ApprovalPosition(ctx, leaseName); err != nil {
		return err
	}
	r.saved = r.read
	type step struct {
		commits []eventstore.Commit
		err     error
	}
	steps := make(chan step)
	go func() {
		for commits, err := range r.Events.ApprovalsAfter(ctx, r.read) {
			select {
			case steps <- step{commits, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		select {
		case s := <-steps:
			if s.err != nil {
				return s.err
			}
			for _, c := range s.commits {
				r.learn(c)
			}
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.act(ctx); err != nil {
			return err
		}
		if err := r.save(ctx, log); err != nil {
			return err
		}
	}
}

func (r *runner) learn(c eventstore.Commit) {
	r.read = c.Position
	if p, ok := domain.ApprovalOf(c.Event); ok {
		r.open[key{p.Workspace, p.ID}] = &entry{p, c.Position, r.Now()}
	}
}

// save stores the position after which all events are needed.
func (r *runner) save(ctx context.Context, log string) error {
	needed := r.read
	for _, e := range r.open {
		needed = min(needed, e.position-1)
	}
	if needed <= r.saved {
		return nil
	}
	r.saved = needed
	return r.Events.SavePosition(ctx, leaseName, log, needed)
}

// act does what is due.
func (r *runner) act(ctx context.Context) error {
	for k, e := range r.open {
		now := r.Now()
		switch {
		case e.State == domain.ApprovalWaiting:
			if expired := e.Expire(now); expired != nil {
				r.record(ctx, e, expired)
			}
		case e.State == domain.ApprovalApproved:
			r.start(e)
		case e.State == domain.ApprovalMaking:
			if r.isMaking(e.Attempt) || now.Sub(e.seen) < lostAfter {
				continue
			}
			if lost := e.Lose(e.Attempt, now); lost != nil { // the process that made it is gone
				r.record(ctx, e, lost)
			}
		case !now.Before(e.KeptUntil()):
			if err := r.maker.Destroy(ctx, e.Owner(), []domain.SecretRef{requestRef(e.ID), answerRef(e.ID)}); err != nil {
				r.Log.DebugContext(ctx, "destroying the values of an approval failed; trying again", slog.Any("err", err))
				return nil
			}
			delete(r.open, k)
		}
	}
	return nil
}

// record appends an event of the service itself. A conflict, or a failure, is tried again once
// the log shows more.
func (r *runner) record(ctx context.Context, e *entry, event domain.Event) {
	p, _ := domain.ApprovalOf(event)
	if _, err := r.append(ctx, e.position, event, domain.Metadata{At: p.EndedAt, Actor: "system"}); err != nil {
		r.Log.DebugContext(ctx, "recording the end of an approval failed; trying again", slog.String("approval", e.ID), slog.Any("err", err))
	}
}
