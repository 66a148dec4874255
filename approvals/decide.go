package approvals

import (
	"context"
	"errors"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Decide records a decision, and returns the approval after it, with its position. Current
// returns the integration as it is now. Of two who decide at once one wins, and the other is
// refused with Conflict.
func (a *Approvals) Decide(ctx context.Context, w domain.Workspace, id string, v domain.Verdict, m domain.Metadata,
	current func(context.Context, domain.Approval) (domain.Integration, error),
) (domain.Approval, uint64, error) {
	for range attempts {
		p, position, err := a.find(ctx, w, id)
		if err != nil {
			return p, 0, err
		}
		now, err := current(ctx, p)
		if err != nil {
			return p, 0, err
		}
		v.At = a.Now()
		m.At = v.At
		e, err := p.Decide(v, now)
		if err != nil {
			return p, 0, err
		}
		next, _ := domain.ApprovalOf(e)
		at, err := a.append(ctx, position, e, m)
		if errors.Is(err, eventstore.ErrConflict) {
			continue
		}
		if err == nil {
			a.leavePlace(ctx, next)
		}
		return next, at, err
	}
	return domain.Approval{}, 0, domain.Errorf(domain.Conflict, "changing_too_fast", "the approval is being changed too often; try again")
}
