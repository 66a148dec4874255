package transport

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const (
	mcpServersPage   = 20 // MCP servers that a page of a list covers
	mcpServersAtOnce = 4  // of them that are asked at once

	// unavailableMeta is the member of _meta that names the integrations whose part of a list
	// is missing or cut, each with why.
	unavailableMeta = "integrations/unavailable"

	resourceNotFound = -32002 // of JSON-RPC, before 2026-07-28
)

// part is what one MCP server has for a list.
type part struct {
	of    domain.Integration
	items []any
	lacks string // why the part is missing or cut; "" when it is whole
}

// mcpParts asks the MCP servers of a page what they have for a list. One that fails costs its
// own part.
func (s *Server) mcpParts(ctx context.Context, r *mcpRequest, method domain.MCPMethod, member, cursor string) (parts []part, next string, meta mcp.Meta, err error) {
	called, cancel := context.WithCancel(r.ctx) // as in mcpCallTool
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	ctx = called
	servers, next, err := s.mcpServers(ctx, r, method, cursor)
	if err != nil {
		return nil, "", nil, err
	}
	parts = make([]part, len(servers))
	var asking sync.WaitGroup
	slots := make(chan struct{}, mcpServersAtOnce)
	for n, i := range servers {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			parts[n] = part{of: i}
			reply, err := s.Commands.QueryMCP(ctx, r.caller, i.ID, method, nil)
			switch {
			case err != nil:
				parts[n].lacks = s.mcpError(ctx, r, err).Error()
			case reply.Call.Error != "":
				parts[n].lacks = reply.Call.Error
			case reply.Truncated:
				parts[n].lacks = "It has more than are listed."
			}
			parts[n].items, _ = reply.Result[member].([]any)
		})
	}
	asking.Wait()
	var lacking []any
	for _, p := range parts {
		if p.lacks != "" {
			lacking = append(lacking, map[string]any{"integration": p.of.Name, "reason": p.lacks})
		}
	}
	if lacking != nil {
		meta = mcp.Meta{unavailableMeta: lacking}
	}
	return parts, next, meta, ctx.Err()
}

// mcpServers returns the MCP servers of a page of a list, and the cursor of the next page.
func (s *Server) mcpServers(ctx context.Context, r *mcpRequest, method domain.MCPMethod, cursor string) (servers []domain.Integration, next string, err error) {
	if r.view.integrations != nil {
		for _, named := range r.view.integrations {
			i, err := s.Read.MCPServer(ctx, r.workspace, named)
			if err == nil {
				servers = append(servers, i)
			} else if domain.KindOf(err) != domain.NotFound {
				return nil, "", s.mcpError(ctx, r, err)
			}
		}
		return servers, "", nil
	}
	scope := []string{"mcp", string(method), string(r.workspace)}
	var after, following *projections.Key
	if cursor != "" {
		if after, err = s.Cursors.OpenKey(cursor, scope...); err != nil {
			return nil, "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the cursor is not one of this list"}
		}
	}
	if servers, following, err = s.Read.MCPServers(ctx, r.workspace, after, mcpServersPage); err != nil {
		return nil, "", s.mcpError(ctx, r, err)
	}
	return servers, s.Cursors.SealKey(following, scope...), nil
}

// cursorOf returns the cursor of the params of a list, which may be left out.
func cursorOf(params mcp.Params) string {
	switch p := params.(type) {
	case *mcp.ListResourcesParams:
		if p != nil {
			return p.Cursor
		}
	case *mcp.ListResourceTemplatesParams:
		if p != nil {
			return p.Cursor
		}
	case *mcp.ListPromptsParams:
		if p != nil {
			return p.Cursor
		}
	}
	return ""
}

// listed adds the items of parts to a list, as this workspace has them. One that is malformed
// is left out.
func listed[T any](parts []part, adapt func(domain.Integration, *T) bool) []*T {
	all := []*T{}
	for _, p := range parts {
		for _, item := range p.items {
			var one T
			if convert(item, &one) && adapt(p.of, &one) {
				all = append(all, &one)
			}
		}
	}
	return all
}

// convert reads a value as a type of MCP.
func convert(value, into any) bool {
	written, err := json.Marshal(value)
	return err == nil && json.Unmarshal(written, into) == nil
}

func (s *Server) mcpListResources(ctx context.Context, r *mcpRequest, params *mcp.ListResourcesParams) (mcp.Result, error) {
	parts, next, meta, err := s.mcpParts(ctx, r, domain.ListResources, "resources", cursorOf(params))
	if err != nil {
		return nil, err
	}
	return &mcp.ListResourcesResult{
		Meta: meta, Cacheable: mcp.Cacheable{CacheScope: cacheScope}, NextCursor: next,
		Resources: listed(parts, func(i domain.Integration, one *mcp.Resource) bool {
			named := one.URI != "" && one.Name != ""
			one.URI = r.view.uri(i, one.URI)
			return named
		}),
	}, nil
}

func (s *Server) mcpListResourceTemplates(ctx context.Context, r *mcpRequest, params *mcp.ListResourceTemplatesParams) (mcp.Result, error) {
	parts, next, meta, err := s.mcpParts(ctx, r, domain.ListResourceTemplates, "resourceTemplates", cursorOf(params))
	if err != nil {
		return nil, err
	}
	return &mcp.ListResourceTemplatesResult{
		Meta: meta, Cacheable: mcp.Cacheable{CacheScope: cacheScope}, NextCursor: next,
		ResourceTemplates: listed(parts, func(i domain.Integration, one *mcp.ResourceTemplate) bool {
			named := one.URITemplate != "" && one.Name != ""
			one.URITemplate = r.view.uri(i, one.URITemplate)
			return named
		}),
	}, nil
}

// resource returns the integration and the URI of a resource that a caller names.
func (s *Server) resource(ctx context.Context, r *mcpRequest, uri string) (domain.Integration, string, error) {
	named, upstream := r.first(), uri
	if !r.view.own {
		var ok bool
		if named, upstream, ok = domain.SplitResourceURI(uri); !ok {
			return domain.Integration{}, "", mcp.ResourceNotFoundError(uri)
		}
	}
	i, err := s.mcpServerNamed(ctx, r, named)
	if domain.KindOf(err) == domain.NotFound {
		s.recordUnseen(r.request, r.method, "resource_not_found")
		return i, "", mcp.ResourceNotFoundError(uri)
	}
	if err != nil {
		return i, "", s.mcpError(ctx, r, err)
	}
	return i, upstream, nil
}

// mcpServerNamed returns the MCP server with a name, among those of the request.
func (s *Server) mcpServerNamed(ctx context.Context, r *mcpRequest, named string) (domain.Integration, error) {
	i, err := s.Read.MCPServer(ctx, r.workspace, named)
	if err == nil && r.view.integrations != nil && !slices.ContainsFunc(r.view.integrations, func(one string) bool { return domain.ParseID(r.workspace, one) == i.ID }) {
		return domain.Integration{}, domain.NoSuchIntegration()
	}
	return i, err
}

func (s *Server) mcpReadResource(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	var result mcp.ReadResourceResult
	err := s.mcpRead(ctx, req.Params.Meta, domain.ReadResource, &result, func(ctx context.Context, r *mcpRequest) (domain.Integration, domain.Document, error) {
		i, upstream, err := s.resource(ctx, r, req.Params.URI)
		return i, domain.Document{"uri": upstream}, err
	})
	if err != nil {
		return nil, err
	}
	r, err := asker(ctx)
	if err != nil {
		return nil, err
	}
	i, _, err := s.resource(ctx, r, req.Params.URI)
	for _, c := range result.Contents {
		if c.URI != "" {
			c.URI = r.view.uri(i, c.URI)
		}
	}
	return &result, err
}

// mcpRead makes a request of an MCP server that reads, and puts its result into result.
func (s *Server) mcpRead(ctx context.Context, meta mcp.Meta, method domain.MCPMethod, result any, find func(context.Context, *mcpRequest) (domain.Integration, domain.Document, error)) error {
	r, err := asker(ctx)
	if err != nil {
		return err
	}
	called, cancel := context.WithCancel(r.ctx) // as in mcpCallTool
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	called, r, end := s.inTraceOf(called, r, meta, string(method))
	defer end()
	i, params, err := find(called, r)
	if err != nil {
		return err
	}
	reply, err := s.Commands.QueryMCP(called, r.caller, i.ID, method, params)
	switch {
	case err != nil:
		return s.mcpError(ctx, r, err)
	case reply.Refusal == resourceNotFound || method == domain.ReadResource && reply.Refusal == jsonrpc.CodeInvalidParams:
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: reply.Call.Error}
	case reply.Call.Error != "":
		code := jsonrpc.CodeInternalError
		if reply.Refusal != 0 {
			code = jsonrpc.CodeInvalidParams
		}
		message := reply.Call.Error
		if reply.Call.AuthorizeURL != "" {
			message += " A person can sign in at " + reply.Call.AuthorizeURL
		}
		return &jsonrpc.Error{Code: int64(code), Message: message}
	case !convert(reply.Result, result):
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "what the MCP server answered is not the result of " + string(method)}
	}
	return nil
}

// uri returns the URI, or the template of one, that a client gets for one of an integration.
func (v mcpView) uri(i domain.Integration, uri string) string {
	if v.own {
		return uri
	}
	return domain.ResourceURI(i.Name, uri)
}
