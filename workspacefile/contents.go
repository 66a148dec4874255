package workspacefile

import (
	"context"
	"maps"
	"slices"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Contents are the integrations of a workspace, read from the log.
type Contents struct {
	Workspace  domain.Workspace
	Position   uint64                        // in the log, up to which no event is missing
	Known      bool                          // does the log have an integration of it, be it deleted?
	ByName     map[string]domain.Integration // that exist
	Unreadable map[domain.ID]error           // integrations whose last event can't be read
}

// Read returns the integrations of a workspace.
func Read(ctx context.Context, events *eventstore.Store, w domain.Workspace) (Contents, error) {
	latest, err := events.LatestIn(ctx, eventstore.Selection{Workspace: w})
	if err != nil {
		return Contents{}, err
	}
	last := map[domain.ID]eventstore.Commit{} // one that changes meanwhile is returned again
	for batch, err := range latest.Commits {
		if err != nil {
			return Contents{}, err
		}
		for _, c := range batch {
			last[c.ID] = c
		}
	}
	all := Contents{Workspace: w, Position: latest.Position, Known: len(last) > 0, ByName: map[string]domain.Integration{}, Unreadable: map[domain.ID]error{}}
	for id, c := range last {
		if c.Err != nil {
			all.Unreadable[id] = c.Err
		} else if i := domain.Evolve(domain.Integration{}, c.Event); i.Exists() {
			all.ByName[i.Name] = i
		}
	}
	return all, nil
}

// Entries returns the integrations as those of a file, sorted by name. A plan refuses to create one of
// them without the secrets that it has here.
func (c Contents) Entries() []Entry {
	var all []Entry
	for _, name := range slices.Sorted(maps.Keys(c.ByName)) {
		i := c.ByName[name]
		e := Entry{Name: name, Document: i.Configuration.Document()}
		e.findSecrets()
		e.expect(i)
		all = append(all, e)
	}
	return all
}
