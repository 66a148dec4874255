package approvals

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// isMaking reports whether an attempt of this process is running.
func (a *Approvals) isMaking(attempt string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, running := range a.making {
		if running == attempt {
			return true
		}
	}
	return false
}

// begin reports whether there is room for an attempt to make the call of an approval, and
// takes it. An approval has one attempt of this process at a time.
func (a *Approvals) begin(p domain.Approval, attempt string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := 0
	for k := range a.making {
		if k.workspace == p.Workspace {
			of++
		}
	}
	k := key{p.Workspace, p.ID}
	if a.making[k] != "" || len(a.making) >= maxMaking || of >= maxMakingOf {
		return false
	}
	a.making[k] = attempt
	return true
}

func (a *Approvals) end(p domain.Approval) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.making, key{p.Workspace, p.ID})
}

// start makes the call of an approval in the background, if there is room.
func (r *runner) start(e *entry) {
	p, position, attempt := e.Approval, e.position, r.NewID()
	if !r.begin(p, attempt) {
		return
	}
	r.working.Go(func() {
		defer r.end(p)
		ctx, cancel := context.WithTimeout(r.calls, makeWithin)
		defer cancel()
		if err := r.make(ctx, p, position, attempt); err != nil && !errors.Is(err, eventstore.ErrConflict) {
			r.Log.WarnContext(ctx, "making an approved call failed", slog.String("approval", p.ID), slog.Any("err", err))
		}
	})
}

// make makes a call: it records that it starts, sends, and records what came of it. Nothing is
// sent unless the first record is known to be stored.
func (r *runner) make(ctx context.Context, p domain.Approval, position uint64, attempt string) error {
	now, err := r.maker.Current(ctx, p.Workspace, p.Integration)
	if err != nil {
		return err
	}
	request, err := r.Request(ctx, p)
	gone := Gone(err) || domain.CodeOf(err) == "secret_unreadable"
	if err != nil && !gone {
		return err
	}
	event := p.Start(attempt, now, r.Now())
	if event == nil {
		return nil
	}
	_, starts := event.(domain.CallStarted)
	switch mac, err := r.parametersMAC(p, request); {
	case !starts:
	case gone, err != nil, subtle.ConstantTimeCompare([]byte(mac), []byte(p.Parameters)) == 0: // not what was shown
		event, starts = p.Cancel(domain.CancelParameters, r.Now()), false
	case r.maker.MayMake(now, p, request) != nil:
		event, starts = p.Cancel(domain.CancelForbidden, r.Now()), false
	}
	if position, err = r.append(ctx, position, event, r.system()); err != nil || !starts {
		return err
	}
	p, _ = domain.ApprovalOf(event)
	result, err := r.maker.Make(ctx, p, request)
	return r.finish(p, position, attempt, result, err, ctx.Err() != nil)
}

// causeOf returns why a call that was started was not sent.
func causeOf(refused error) domain.CancelCause {
	switch domain.CodeOf(refused) {
	case "integration_changed", "secret_replaced", "endpoint_not_found":
		return domain.CancelChanged
	case "integration_not_found":
		return domain.CancelDeleted
	case "integration_disabled":
		return domain.CancelDisabled
	case "forbidden":
		return domain.CancelForbidden
	}
	return domain.CancelRefused
}

func (r *runner) system() domain.Metadata { return domain.Metadata{At: r.Now(), Actor: "system"} }

// finish seals the answer of a call, and records its outcome, until it is recorded or the
// service ends. A call that was cut off has an unknown outcome.
func (r *runner) finish(p domain.Approval, position uint64, attempt string, result domain.CallResult, refused error, cut bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.calls), makeWithin)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, requestTime) {
		err := r.outcome(ctx, p, position, attempt, result, refused, cut)
		if err == nil {
			return nil
		}
		if errors.Is(err, eventstore.ErrConflict) { // it was given up as lost
			last, failed := r.Events.LoadApproval(ctx, p.Workspace, p.Integration, p.ID)
			now, ok := domain.ApprovalOf(last.Event)
			if failed == nil && (!ok || now.Attempt != attempt || now.State == domain.ApprovalMade) {
				return nil
			}
			if failed == nil {
				p, position = now, last.Position
				continue
			}
			err = failed
		}
		if r.calls.Err() != nil || r.Events.Closed() || !streams.Wait(ctx, pause) {
			return err
		}
	}
}

func (r *runner) outcome(ctx context.Context, p domain.Approval, position uint64, attempt string, result domain.CallResult, refused error, cut bool) error {
	var event domain.Event
	switch {
	case refused != nil:
		event = p.Cancel(causeOf(refused), r.Now())
	case cut:
		event = p.Lose(attempt, r.Now())
	default:
		if err := r.seal(ctx, p, answerRef(p.ID), kept(result)); err != nil {
			return err
		}
		event = p.Make(attempt, result, r.Now())
	}
	if event == nil {
		return nil
	}
	_, err := r.append(ctx, position, event, r.system())
	return err
}
