package projections

import (
	"context"
	"slices"

	"github.com/seed677028b5/integrations/domain"
)

// Tools returns the endpoints of up to limit callable integrations, in the order of their names,
// after a place in that order, and the start of the next ones. A built-in without a key from
// the operator isn't callable.
func (r Reader) Tools(ctx context.Context, w domain.Workspace, after *Key, limit int) ([]domain.Tool, *Key, error) {
	page, err := r.List(ctx, w, Query{
		Filter: Filter{Enabled: new(true)}, Sort: Sort{By: Name, Ascending: true}, Limit: limit, After: after, NoTotal: true,
	})
	if err != nil {
		return nil, nil, err
	}
	var tools []domain.Tool
	for _, i := range page.Items {
		if r.callable(i.Integration) {
			tools = append(tools, i.Tools()...)
		}
	}
	return tools, page.Next, nil
}

// ToolsOf returns the tools of integrations, by id or name, in the order of the list. It
// refuses with NotFound. An integration that isn't callable has none.
func (r Reader) ToolsOf(ctx context.Context, w domain.Workspace, integrations []string) ([]domain.Tool, error) {
	var tools []domain.Tool
	for _, named := range integrations {
		i, err := r.Get(ctx, w, domain.ParseID(w, named))
		if err != nil {
			return nil, err
		}
		if r.callable(i.Integration) {
			tools = append(tools, i.Tools()...)
		}
	}
	return tools, nil
}

// MCPServers returns up to limit callable integrations of the protocol mcp, in the order of
// their names, after a place in that order, and the start of the next ones. A key that is
// narrowed to some endpoints sees nothing else of an MCP server, so it gets none.
func (r Reader) MCPServers(ctx context.Context, w domain.Workspace, after *Key, limit int) ([]domain.Integration, *Key, error) {
	if domain.ScopeOf(ctx).NarrowsEndpoints() {
		return nil, nil, nil
	}
	page, err := r.List(ctx, w, Query{
		Filter: Filter{Enabled: new(true), Protocol: domain.MCP}, Sort: Sort{By: Name, Ascending: true}, Limit: limit, After: after, NoTotal: true,
	})
	if err != nil {
		return nil, nil, err
	}
	var servers []domain.Integration
	for _, i := range page.Items {
		if r.callable(i.Integration) {
			servers = append(servers, i.Integration)
		}
	}
	return servers, page.Next, nil
}

// MCPServer returns a callable integration of the protocol mcp, by id or name. Any other is
// refused with NotFound.
func (r Reader) MCPServer(ctx context.Context, w domain.Workspace, named string) (domain.Integration, error) {
	i, err := r.Get(ctx, w, domain.ParseID(w, named))
	if err != nil {
		return domain.Integration{}, err
	}
	if i.Protocol != domain.MCP || !r.callable(i.Integration) || domain.ScopeOf(ctx).NarrowsEndpoints() {
		return domain.Integration{}, domain.NoSuchIntegration()
	}
	return i.Integration, nil
}

func (r Reader) callable(i domain.Integration) bool {
	return i.Enabled && (!i.Builtin || len(r.Builtins.Missing(i.Name)) == 0)
}

// Tool returns the tool for an integration, by id or name, and an endpoint. It refuses with
// NotFound, or with Conflict and the code integration_disabled.
func (r Reader) Tool(ctx context.Context, w domain.Workspace, integration, endpoint string) (domain.Tool, error) {
	i, err := r.Get(ctx, w, domain.ParseID(w, integration))
	if err != nil {
		return domain.Tool{}, err
	}
	at := slices.IndexFunc(i.Endpoints, func(e domain.Endpoint) bool { return e.Name == endpoint })
	switch {
	case at < 0:
		_, err := i.Endpoint(endpoint)
		return domain.Tool{}, err
	case !r.callable(i.Integration):
		return domain.Tool{}, domain.Errorf(domain.Conflict, "integration_disabled", "the integration %q is disabled or not configured", i.Name)
	}
	return i.Tools()[at], nil
}

// FindTool returns the tool with a name.
func (r Reader) FindTool(ctx context.Context, w domain.Workspace, name string) (domain.Tool, error) {
	if integration, endpoint, ok := domain.SplitToolName(name); ok {
		return r.Tool(ctx, w, integration, endpoint)
	}
	for after := (*Key)(nil); ; {
		tools, next, err := r.Tools(ctx, w, after, 200)
		if err != nil {
			return domain.Tool{}, err
		}
		for _, t := range tools {
			if t.Name == name {
				return t, nil
			}
		}
		if after = next; after == nil {
			return domain.Tool{}, domain.Errorf(domain.NotFound, "tool_not_found", "there is no tool with that name")
		}
	}
}
