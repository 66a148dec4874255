package commands

import (
	"context"
	"maps"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// TestEndpoint calls one endpoint of an integration, enabled or not, with params
// as its parameters. What goes wrong outside is told in the result.
func (s *Service) TestEndpoint(ctx context.Context, by Caller, id domain.ID, endpoint string, params map[string]any, dryRun bool) (domain.CallResult, error) {
	i, err := s.current(ctx, by.Workspace, id)
	if err != nil {
		return domain.CallResult{}, err
	}
	e, err := i.Endpoint(endpoint)
	if err != nil {
		return domain.CallResult{}, err
	}
	return s.Connectors.Call(ctx, domain.Call{
		Integration: i, Endpoint: e, Params: params, DryRun: dryRun, Keyring: s.keyring(i.Owner(), nil),
	})
}

// probeTimeout bounds one probe, wherever it was asked for.
const probeTimeout = 5 * time.Second

// TestConnection probes an integration, enabled or not, and records the result.
// It returns what was seen and its position in the log of probes.
func (s *Service) TestConnection(ctx context.Context, by Caller, id domain.ID) (domain.Probe, uint64, error) {
	i, err := s.current(ctx, by.Workspace, id)
	if err != nil {
		return domain.Probe{}, 0, err
	}
	probe := s.probe(ctx, i, nil)
	position, err := s.Events.RecordProbe(ctx, domain.IntegrationProbed{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, Probe: probe},
		domain.Metadata{CommandID: s.NewID(), At: probe.At, Actor: by.Actor, Address: by.Address, RequestID: by.RequestID, TraceParent: by.TraceParent})
	return probe, position, err
}

// TestUnsavedConnection probes what doc describes, without recording anything.
// With the id of an integration in doc, what doc leaves out is that
// integration's, its secrets included where they would go to the same place.
func (s *Service) TestUnsavedConnection(ctx context.Context, by Caller, doc domain.Document) (domain.Probe, error) {
	stamp := domain.Stamp{At: s.Now(), Attempt: s.NewID()}
	doc = maps.Clone(doc)
	var stored domain.Integration
	id, withID := doc["id"].(string)
	var decision domain.Decision
	var err error
	if withID {
		if stored, err = s.current(ctx, by.Workspace, domain.ParseID(by.Workspace, id)); err != nil {
			return domain.Probe{}, err
		}
		delete(doc, "id")
		if doc["name"] == stored.Name {
			delete(doc, "name")
		}
		decision, err = stored.Update(doc, stamp, s.Rules)
	} else {
		for _, unneeded := range []string{"name", "display_name"} {
			if doc[unneeded] == nil {
				doc[unneeded] = "unsaved"
			}
		}
		decision, err = stored.Create(by.Workspace, doc, stamp, s.Rules)
	}
	if err != nil {
		return domain.Probe{}, err
	}
	return s.probe(ctx, domain.Evolve(stored, decision.Event), decision.Seal), nil
}

func (s *Service) probe(ctx context.Context, i domain.Integration, given []domain.SealedSecret) domain.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return s.Connectors.Probe(ctx, i, s.keyring(i.Owner(), given))
}
