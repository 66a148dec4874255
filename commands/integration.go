package commands

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// CreateIntegration creates an integration from doc. It refuses a name in use with
// Conflict.
func (s *Service) CreateIntegration(ctx context.Context, by Caller, doc domain.Document, on Condition) (Outcome, error) {
	name, _ := doc["name"].(string) // the decision refuses anything else
	if err := mayName(ctx, name); err != nil {
		return Outcome{}, err
	}
	on.isNew = true
	return s.change(ctx, by, domain.NewID(by.Workspace, name), on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		return i.Create(by.Workspace, doc, st, s.Rules)
	})
}

// UpdateIntegration changes the members that doc has.
func (s *Service) UpdateIntegration(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Update(doc, st, s.Rules)
	})
}

// MergeIntegration is UpdateIntegration, except that endpoints that doc doesn't name stay.
func (s *Service) MergeIntegration(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Merge(doc, st, s.Rules)
	})
}

// ReplaceIntegration gives an integration exactly the configuration in doc, except for the
// secrets that doc omits.
func (s *Service) ReplaceIntegration(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Replace(doc, st, s.Rules)
	})
}

// RestoreIntegration restores the configuration of an earlier version, as a new event.
// Secrets keep their present values; if the earlier configuration sends one to another
// destination, it refuses with secret_required.
func (s *Service) RestoreIntegration(ctx context.Context, by Caller, id domain.ID, version uint64, on Condition) (Outcome, error) {
	past := audit.Log{Events: s.Events, Builtins: s.Builtins}
	earlier, err := past.AsOf(ctx, by.Workspace, id, audit.AsOf{Version: version})
	if err != nil {
		return Outcome{}, err
	}
	return s.ReplaceIntegration(ctx, by, id, earlier.Exact(), on)
}

// DeleteIntegration deletes an integration and destroys its secrets.
func (s *Service) DeleteIntegration(ctx context.Context, by Caller, id domain.ID, reason string, on Condition) (Outcome, error) {
	var deleted domain.Integration
	out, err := s.change(ctx, by, id, on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		deleted = i
		return s.orBuiltin(by, id, i).Delete(reason, st)
	})
	if err == nil && !on.DryRun && s.Authorizations != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTime)
		defer cancel()
		if err := s.Authorizations.Forget(ctx, by.Workspace, id, out.Integration.Version, by.Actor); err != nil {
			s.Log.WarnContext(ctx, "ending the authorizations of a deleted integration takes longer; it goes on in the background", slog.Any("err", err))
		}
	}
	if err == nil && !on.DryRun && s.Approvals != nil && deleted.ID != "" {
		if err := s.Approvals.Forget(context.WithoutCancel(ctx), deleted, s); err != nil {
			s.Log.WarnContext(ctx, "destroying the parameters of approvals of a deleted integration failed; they are destroyed a day after they were asked for", slog.Any("err", err))
		}
	}
	if err == nil && !on.DryRun && s.Bodies != nil && deleted.ID != "" {
		if err := s.Bodies.Forget(context.WithoutCancel(ctx), deleted, s.Now(), s); err != nil {
			s.Log.WarnContext(ctx, "destroying the bodies of calls of a deleted integration failed; the sweep destroys them", slog.Any("err", err))
		}
	}
	return out, err
}

// forgetTime is how long a deletion waits until the tokens of all subjects are destroyed.
// ForgetDeleted destroys the rest.
const forgetTime = 5 * time.Second

// orBuiltin returns the built-in with an id if there is one, else i.
func (s *Service) orBuiltin(by Caller, id domain.ID, i domain.Integration) domain.Integration {
	if b, ok := domain.Builtin(by.Workspace, id, s.Builtins); ok {
		return b
	}
	return i
}
