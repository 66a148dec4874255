package transport

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func (s *Server) mcpListPrompts(ctx context.Context, r *mcpRequest, params *mcp.ListPromptsParams) (mcp.Result, error) {
	parts, next, meta, err := s.mcpParts(ctx, r, domain.ListPrompts, "prompts", cursorOf(params))
	if err != nil {
		return nil, err
	}
	return &mcp.ListPromptsResult{
		Meta: meta, Cacheable: mcp.Cacheable{CacheScope: cacheScope}, NextCursor: next,
		Prompts: listed(parts, func(i domain.Integration, one *mcp.Prompt) bool {
			named := one.Name != ""
			if !r.view.own {
				one.Name = domain.ToolName(i.Name, one.Name)
			}
			return named
		}),
	}, nil
}

// prompt returns the integration and the name of a prompt that a caller names.
func (s *Server) prompt(ctx context.Context, r *mcpRequest, name string) (domain.Integration, string, error) {
	named, own, ok := r.first(), name, r.view.own
	if !ok {
		named, own, ok = domain.SplitToolName(name)
	}
	var i domain.Integration
	var err error
	if ok {
		i, err = s.mcpServerNamed(ctx, r, named)
	} else {
		i, own, err = s.hashedPrompt(ctx, r, name)
	}
	if domain.KindOf(err) == domain.NotFound {
		s.recordUnseen(r.request, r.method, "prompt_not_found")
		return i, "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no prompt with that name"}
	}
	if err != nil {
		return i, "", s.mcpError(ctx, r, err)
	}
	return i, own, nil
}

// first returns the integration that the URL names, "" when it names none.
func (r *mcpRequest) first() string {
	if len(r.view.integrations) == 0 {
		return ""
	}
	return r.view.integrations[0]
}

// hashedPrompt finds a prompt whose name ends in a hash, in the lists of the servers that it can
// be of.
func (s *Server) hashedPrompt(ctx context.Context, r *mcpRequest, name string) (domain.Integration, string, error) {
	for after := (*projections.Key)(nil); ; {
		servers, next, err := s.Read.MCPServers(ctx, r.workspace, after, 200)
		if err != nil {
			return domain.Integration{}, "", err
		}
		for _, i := range servers {
			if start := i.Name[:min(len(i.Name), 40)]; !strings.HasPrefix(name, start) {
				continue
			}
			if _, err := s.mcpServerNamed(ctx, r, i.Name); err != nil {
				continue
			}
			reply, err := s.Commands.QueryMCP(ctx, r.caller, i.ID, domain.ListPrompts, nil)
			if err != nil {
				continue // it costs its own prompts
			}
			prompts, _ := reply.Result["prompts"].([]any)
			for _, one := range prompts {
				if p, _ := one.(map[string]any); p != nil {
					if own, _ := p["name"].(string); own != "" && domain.ToolName(i.Name, own) == name {
						return i, own, nil
					}
				}
			}
		}
		if after = next; after == nil {
			return domain.Integration{}, "", domain.NoSuchIntegration()
		}
	}
}

func (s *Server) mcpGetPrompt(ctx context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	var result mcp.GetPromptResult
	var of domain.Integration
	err := s.mcpRead(ctx, req.Params.Meta, domain.GetPrompt, &result, func(ctx context.Context, r *mcpRequest) (domain.Integration, domain.Document, error) {
		i, own, err := s.prompt(ctx, r, req.Params.Name)
		of = i
		arguments := map[string]any{}
		for name, value := range req.Params.Arguments {
			arguments[name] = value
		}
		return i, domain.Document{"name": own, "arguments": arguments}, err
	})
	if err != nil {
		return nil, err
	}
	r, err := asker(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range result.Messages {
		r.view.relink(of, m.Content)
		m.Content = keepText(m.Content)
	}
	return &result, nil
}

// mcpComplete has the MCP server of a prompt or of a template complete an argument.
func (s *Server) mcpComplete(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	var result mcp.CompleteResult
	err := s.mcpRead(ctx, req.Params.Meta, domain.CompleteArgument, &result, func(ctx context.Context, r *mcpRequest) (domain.Integration, domain.Document, error) {
		ref := *req.Params.Ref
		var i domain.Integration
		var err error
		switch ref.Type {
		case "ref/prompt":
			i, ref.Name, err = s.prompt(ctx, r, ref.Name)
		case "ref/resource":
			i, ref.URI, err = s.resource(ctx, r, ref.URI)
		default:
			err = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "/ref/type: must be ref/prompt or ref/resource"}
		}
		var params domain.Document
		if err == nil && !convert(&mcp.CompleteParams{Ref: &ref, Argument: req.Params.Argument, Context: req.Params.Context}, &params) {
			err = &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the params can't be passed on"}
		}
		return i, params, err
	})
	if err != nil {
		return nil, err
	}
	if result.Completion.Values == nil {
		result.Completion.Values = []string{}
	}
	return &result, nil
}

// shown returns the result of a tool as a client gets it: with URIs of this workspace, so that
// what is linked can be read.
func (v mcpView) shown(result *mcp.CallToolResult, of domain.Integration) *mcp.CallToolResult {
	if of.Protocol == domain.MCP {
		for n, c := range result.Content {
			v.relink(of, c)
			result.Content[n] = keepText(c)
		}
	}
	return result
}

// relink changes the URIs of content of an integration to those of this workspace. What a client
// can fetch from the web itself stays as it is.
func (v mcpView) relink(of domain.Integration, c mcp.Content) {
	uri := func(upstream string) string {
		if upstream == "" || strings.HasPrefix(upstream, "https://") || strings.HasPrefix(upstream, "http://") {
			return upstream
		}
		return v.uri(of, upstream)
	}
	switch c := c.(type) {
	case *mcp.ResourceLink:
		c.URI = uri(c.URI)
	case *mcp.EmbeddedResource:
		if c.Resource != nil {
			c.Resource.URI = uri(c.Resource.URI)
		}
	}
}
