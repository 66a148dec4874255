package commands

import (
	"context"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
)

// Current implements approvals.Maker.
func (s *Service) Current(ctx context.Context, w domain.Workspace, id domain.ID) (domain.Integration, error) {
	if b, ok := domain.Builtin(w, id, s.Builtins); ok {
		return b, nil
	}
	last, err := s.Events.LoadFromLeader(ctx, w, id)
	return domain.Evolve(domain.Integration{}, last.Event), err
}

// Approval returns an approval, as the scope of ctx shows it.
func (s *Service) Approval(ctx context.Context, w domain.Workspace, id string) (domain.Approval, error) {
	if s.Approvals == nil {
		return domain.Approval{}, domain.NoSuchApproval()
	}
	return s.Approvals.Get(ctx, w, id)
}

// A Case is what somebody looks at who decides about a call, or who asked for it.
type Case struct {
	domain.Approval

	Request *approvals.Request // nil: it is destroyed
	Answer  *domain.CallResult // nil: there is none, or it is destroyed
	Now     domain.Integration // as it is now; it may be deleted
	Changes []domain.Change    // of the configuration, since the call was asked for
}

// Case returns all there is of an approval. The answer is for who asked.
func (s *Service) Case(ctx context.Context, p domain.Approval, withAnswer bool) (Case, error) {
	c := Case{Approval: p, Changes: []domain.Change{}}
	request, err := s.Approvals.Request(ctx, p)
	switch {
	case err == nil:
		c.Request = &request
	case domain.KindOf(err) != domain.Invalid: // it is neither destroyed nor of a deleted integration
		return c, err
	}
	if withAnswer && p.State == domain.ApprovalMade {
		result, err := s.Approvals.Answer(ctx, p)
		switch {
		case err == nil:
			c.Answer = &result
		case domain.KindOf(err) != domain.Invalid:
			return c, err
		}
	}
	if c.Now, err = s.Current(ctx, p.Workspace, p.Integration); err != nil {
		return c, err
	}
	if !c.Now.Exists() || c.Now.Incarnation != p.Incarnation || c.Now.Version == p.ConfigVersion || c.Now.Builtin {
		return c, nil
	}
	past := audit.Log{Events: s.Events, Builtins: s.Builtins}
	was, err := past.AsOf(ctx, p.Workspace, p.Integration, audit.AsOf{Version: p.ConfigVersion})
	if domain.KindOf(err) == domain.NotFound {
		return c, nil
	}
	is, _ := domain.ScopeOf(ctx).View(c.Now)
	c.Changes = domain.Changes(was.Configuration, is.Configuration)
	return c, err
}

// Decide decides about an approval, and returns its position in the log of approvals.
func (s *Service) Decide(ctx context.Context, by Caller, id string, v domain.Verdict) (domain.Approval, uint64, error) {
	if s.Approvals == nil {
		return domain.Approval{}, 0, domain.NoSuchApproval()
	}
	v.By, v.Subject = by.Actor, s.Approvals.SubjectMAC(by.Workspace, by.OnBehalfOf)
	meta := domain.Metadata{Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent}
	return s.Approvals.Decide(ctx, by.Workspace, id, v, meta, func(ctx context.Context, p domain.Approval) (domain.Integration, error) {
		if v.Approve && p.Key == persons.Erased {
			return domain.Integration{}, domain.Errorf(domain.Forbidden, "own_approval", "who asked for this call was erased, so it may be your own; deny it")
		}
		return s.Current(ctx, p.Workspace, p.Integration)
	})
}
