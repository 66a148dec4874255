package commands

import (
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolformat"
)

// PlainEndpoints remembers which endpoints have no property that a format had to rename: of
// their calls, no argument has another name. Nil remembers none.
type PlainEndpoints struct {
	mu    sync.Mutex
	plain map[endpointKey]bool
}

// endpointKey identifies an endpoint as a version of its integration has it.
type endpointKey struct {
	domain.Ref
	version uint64
	at      time.Time
	name    string
}

const maxPlain = 4096 // endpoints

// arguments returns the arguments of a call under the names that the schema of its endpoint has.
func (r *PlainEndpoints) arguments(c domain.Call) map[string]any {
	if r == nil {
		return toolformat.Arguments(c.Endpoint.ToolSchema(), c.Params)
	}
	i := c.Integration
	of := endpointKey{domain.Ref{Workspace: i.Workspace, ID: i.ID}, i.Version, i.UpdatedAt, c.Endpoint.Name}
	r.mu.Lock()
	plain := r.plain[of]
	r.mu.Unlock()
	if plain {
		return c.Params
	}
	schema := c.Endpoint.ToolSchema()
	if !toolformat.Renames(schema) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.plain == nil || len(r.plain) >= maxPlain {
			r.plain = map[endpointKey]bool{}
		}
		r.plain[of] = true
		return c.Params
	}
	return toolformat.Arguments(schema, c.Params)
}
