package commands

import (
	"context"

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
