package transport

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/toolformat"
	"github.com/seed677028b5/integrations/toolsearch"
)

// maxNarrowed bounds the integrations that a URL names.
const maxNarrowed = 50

// mcpView reads the parameters tools and integrations, and the integration of the path.
func (r *request) mcpView() (view mcpView, err error) {
	q := r.query()
	if mode, given := q.text("tools"); given {
		if view.search = mode == "search"; !view.search && mode != "all" {
			q.problem("tools", "enum", "must be all or search")
		}
	}
	if list, given := q.text("integrations"); given {
		view.integrations = []string{}
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(view.integrations, name) {
				view.integrations = append(view.integrations, name)
			}
		}
		if n := len(view.integrations); n == 0 || n > maxNarrowed {
			q.problem("integrations", "range", "must be the ids or names of 1 to 50 integrations, separated by commas")
		}
	}
	if one := r.Param("id"); one != "" {
		view.integrations = []string{one}
	}
	if mode, given := q.text("names"); given {
		if view.own = mode == "own"; !view.own && mode != "workspace" {
			q.problem("names", "enum", "must be workspace or own")
		}
		if view.own && (len(view.integrations) != 1 || view.search) {
			q.problem("names", "not_allowed", "can be own for one integration, and without tools=search")
		}
	}
	return view, domain.RefuseAll(q.problems)
}

// The names of the tools of a search.
const (
	findToolsName = "find_tools"
	callToolName  = "call_tool"
)

// searchTools returns the tools of a search.
func searchTools() []*mcp.Tool {
	return []*mcp.Tool{{
		Name: findToolsName, Title: "Find tools",
		Description: "Finds tools of the connected systems by words, best first, with their input schemas. Call one with call_tool. An empty query lists the systems.",
		InputSchema: map[string]any{
			"type": "object", "required": []any{"query"}, "properties": map[string]any{
				"query": map[string]any{"type": "string", "description": "What the tool should do, in a few words, or its name."},
				"limit": map[string]any{"type": "integer", "minimum": 1, "maximum": maxFound},
			},
		},
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true},
	}, {
		Name: callToolName, Title: "Call a tool",
		Description: "Calls a tool that find_tools found.",
		InputSchema: map[string]any{
			"type": "object", "required": []any{"name"}, "properties": map[string]any{
				"name":      map[string]any{"type": "string"},
				"arguments": map[string]any{"type": "object", "description": "By the input_schema of the tool."},
			},
		},
	}}
}

const (
	maxFound       = 20
	defaultFound   = 5
	maxSearched    = 20_000 // tools that one search looks at
	maxSystems     = 100    // that a search without a result names
	foundBudget    = 3000   // characters of definitions after the first; more tools are named alone
	maxFoundAbout  = 300    // characters of a description
	maxFoundQuery  = 1000   // characters
	maxFirstSchema = 20_000 // characters of the schema of the first tool
)

type found struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	InputSchema any    `json:"input_schema,omitempty"`
	Note        string `json:"note,omitempty"`
}

type system struct {
	Integration string `json:"integration"`
	Name        string `json:"name"`
	Tools       int    `json:"tools"`
}

// mcpFindTools answers find_tools.
func (s *Server) mcpFindTools(ctx context.Context, r *mcpRequest, written json.RawMessage) (*mcp.CallToolResult, error) {
	var in struct {
		Query string `json:"query"`
		Limit *int   `json:"limit"`
	}
	if len(written) > 0 && json.Unmarshal(written, &in) != nil {
		return toolText("/arguments: must be an object with query, a string, and perhaps limit, a whole number from 1 to 20", true), nil
	}
	limit := defaultFound
	if in.Limit != nil {
		limit = min(max(*in.Limit, 1), maxFound)
	}
	if len([]rune(in.Query)) > maxFoundQuery {
		return toolText("/arguments/query: must have at most 1000 characters", true), nil
	}
	tools, err := s.searchedTools(ctx, r)
	if err != nil {
		return nil, s.mcpError(ctx, r, err)
	}
	ranked, err := toolsearch.Rank(ctx, tools, in.Query, limit)
	if err != nil {
		return nil, s.mcpError(ctx, r, err)
	}
	if len(ranked) == 0 {
		return asJSON(map[string]any{"tools": []any{}, "systems": systems(tools)}), nil
	}
	all := make([]found, len(ranked))
	left := foundBudget
	for n, at := range ranked {
		all[n] = describe(tools[at], n == 0, &left)
	}
	return asJSON(map[string]any{"tools": all}), nil
}

// describe returns a tool as a search shows it. The budget bounds what all but the first
// take.
func describe(t domain.Tool, first bool, left *int) found {
	f := found{Name: t.Name, Description: t.Description}
	if runes := []rune(t.Description); len(runes) > maxFoundAbout {
		f.Description = string(runes[:maxFoundAbout]) + "…"
	}
	rendered, err := toolformat.Render(t, toolformat.Options{Format: toolformat.MCP})
	if err != nil {
		f.Note = err.Error()
		return f
	}
	schema, err := json.Marshal(rendered["inputSchema"])
	size := len(schema) + len(f.Description)
	switch {
	case err != nil || first && size > maxFirstSchema:
		f.Note = "Its input_schema is too long to show."
	case !first && size > *left:
		f.Note = "Search for its name to see its input_schema."
	default:
		f.InputSchema = json.RawMessage(schema)
	}
	*left -= size
	return f
}

// searchedTools returns the tools that a search looks at.
func (s *Server) searchedTools(ctx context.Context, r *mcpRequest) ([]domain.Tool, error) {
	if r.view.integrations != nil {
		return r.view.tools, nil
	}
	var tools []domain.Tool
	for after := (*projections.Key)(nil); ; {
		page, next, err := s.Read.Tools(ctx, r.workspace, after, 200)
		if err != nil {
			return nil, err
		}
		tools = append(tools, page...)
		if after = next; after == nil || len(tools) > maxSearched {
			return tools[:min(len(tools), maxSearched)], nil
		}
	}
}

// systems counts the tools of each integration.
func systems(tools []domain.Tool) []system {
	all := []system{}
	for _, t := range tools {
		if n := len(all); n > 0 && all[n-1].Integration == t.Integration.Name {
			all[n-1].Tools++
			continue
		}
		if len(all) == maxSystems {
			break
		}
		all = append(all, system{t.Integration.Name, t.Integration.DisplayName, 1})
	}
	return all
}

// mcpCallFound answers call_tool.
func (s *Server) mcpCallFound(ctx context.Context, r *mcpRequest, written json.RawMessage) (*mcp.CallToolResult, error) {
	var in struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal(written, &in) != nil || in.Name == "" {
		return toolText("/arguments: must be an object with name, the name of a tool, and its arguments", true), nil
	}
	tool, err := s.mcpTool(ctx, r, in.Name)
	if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Kind == domain.NotFound {
		return toolText("/arguments/name: there is no such tool; find_tools lists those that there are", true), nil
	}
	if err != nil {
		return nil, s.mcpError(ctx, r, err)
	}
	return s.mcpInvoke(ctx, r, tool, func() (domain.Document, error) { return readArguments(in.Arguments) }, "/arguments/arguments")
}

func asJSON(v any) *mcp.CallToolResult {
	written, err := json.Marshal(v)
	if err != nil {
		return toolText("the tools can't be written as JSON", true)
	}
	return toolText(string(written), false)
}
