package commands

import (
	"context"
	"maps"

	"github.com/seed677028b5/integrations/domain"
)

// unsaved returns the integration that doc describes, and what opens its secrets, as if it were
// saved. If doc has the id of an integration, absent members are taken from it, including secrets
// that would go to the same destination.
func (s *Service) unsaved(ctx context.Context, by Caller, doc domain.Document) (domain.Integration, domain.Keyring, error) {
	attempt := domain.Attempt{At: s.Now(), ID: s.NewID()}
	doc = maps.Clone(doc)
	var stored domain.Integration
	id, withID := doc["id"].(string)
	var decision domain.Decision
	var err error
	if withID {
		if stored, err = s.current(ctx, by.Workspace, domain.ParseID(by.Workspace, id)); err != nil {
			return domain.Integration{}, nil, err
		}
		delete(doc, "id")
		if doc["name"] == stored.Name {
			delete(doc, "name")
		}
		decision, err = stored.Update(doc, attempt, s.Rules)
	} else {
		for _, unneeded := range []string{"name", "display_name"} {
			if doc[unneeded] == nil {
				doc[unneeded] = "unsaved"
			}
		}
		name, _ := doc["name"].(string)
		if err := mayName(ctx, name); err != nil {
			return domain.Integration{}, nil, err
		}
		decision, err = stored.Create(by.Workspace, doc, attempt, s.Rules)
	}
	if err != nil {
		return domain.Integration{}, nil, err
	}
	wanted := domain.Evolve(stored, decision.Event)
	if err := by.May(wanted); err != nil {
		return domain.Integration{}, nil, err
	}
	return wanted, s.withTokens(s.keyring(wanted.Owner(), decision.Seal), wanted, ""), nil
}
