package commands

import (
	"context"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// CreateIntegration opens an integration as doc describes it. It refuses a name
// that is taken with Conflict.
func (s *Service) CreateIntegration(ctx context.Context, by Caller, doc domain.Document, on Condition) (Outcome, error) {
	name, _ := doc["name"].(string) // anything else is refused by the decision
	return s.change(ctx, by, domain.NewID(by.Workspace, name), on, func(i domain.Integration, st domain.Stamp) (domain.Decision, error) {
		return i.Create(by.Workspace, doc, st, s.Rules)
	})
}

// UpdateIntegration changes what doc names and leaves the rest.
func (s *Service) UpdateIntegration(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Stamp) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Update(doc, st, s.Rules)
	})
}

// ReplaceIntegration gives an integration the configuration that doc describes,
// and nothing of the present one but the secrets that doc leaves out.
func (s *Service) ReplaceIntegration(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Stamp) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Replace(doc, st, s.Rules)
	})
}

// RestoreIntegration brings back the configuration of an earlier version, as a
// new event. Secrets stay the present ones; where the earlier configuration
// sends one to another place, it refuses with secret_required.
func (s *Service) RestoreIntegration(ctx context.Context, by Caller, id domain.ID, version uint64, on Condition) (Outcome, error) {
	past := audit.Log{Events: s.Events, Builtins: s.Builtins}
	earlier, err := past.AsOf(ctx, by.Workspace, id, audit.Moment{Version: version})
	if err != nil {
		return Outcome{}, err
	}
	return s.ReplaceIntegration(ctx, by, id, earlier.Document(), on)
}

// DeleteIntegration ends an integration and destroys its secrets.
func (s *Service) DeleteIntegration(ctx context.Context, by Caller, id domain.ID, reason string, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Stamp) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).Delete(reason, st)
	})
}

// orBuiltin returns the built-in of that id where there is one.
func (s *Service) orBuiltin(by Caller, id domain.ID, i domain.Integration) domain.Integration {
	if b, ok := domain.Builtin(by.Workspace, id, s.Builtins); ok {
		return b
	}
	return i
}
