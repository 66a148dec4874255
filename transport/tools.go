package transport

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/toolformat"
)

// toolOptions reads the format and strict parameters.
func (q *query) toolOptions() toolformat.Options {
	name, given := q.text("format")
	if !given {
		name = string(toolformat.OpenAI)
	}
	o := toolformat.Options{Format: toolformat.Format(name)}
	if !slices.Contains(toolformat.Formats(), o.Format) {
		q.problem("format", "enum", "must be openai, anthropic, mcp or gemini")
	}
	if strict := q.boolean("strict"); strict != nil && *strict {
		if o.Strict = true; o.Format != toolformat.OpenAI {
			q.problem("strict", "not_allowed", "is known to the format openai alone")
		}
	}
	return o
}

type toolsAnswer struct {
	Tools             []any                `json:"tools"`
	Unavailable       []toolformat.Skipped `json:"unavailable"` // tools that the format can't express
	HasMore           bool                 `json:"has_more"`
	ContinuationToken *string              `json:"continuation_token"`
}

// listTools answers with tool definitions. Its limit counts integrations.
func (s *Server) listTools(r *request) (answer, error) {
	q := r.query()
	options := q.toolOptions()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	if err := s.waitForRead(r); err != nil {
		return answer{}, err
	}
	var after *projections.Key
	scope := []string{"tools", string(r.workspace)}
	if !projections.FirstPage(token) {
		var err error
		if after, err = s.Cursors.OpenKey(token, scope...); err != nil {
			return answer{}, err
		}
	}
	tools, next, err := s.Read.Tools(r, r.workspace, after, limit)
	if err != nil {
		return answer{}, err
	}
	rendered, unavailable := toolformat.RenderAll(tools, options)
	body := toolsAnswer{
		Tools: rendered, Unavailable: orEmpty(unavailable), HasMore: next != nil, ContinuationToken: nullable(s.Cursors.SealKey(next, scope...)),
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// resolvedTool is a resolved entry of a skill's integration_tools.
type resolvedTool struct {
	IntegrationID   domain.ID `json:"integration_id"`
	IntegrationName string    `json:"integration_name"`
	EndpointName    string    `json:"endpoint_name"`
	Tool            any       `json:"tool"`
}

type resolveAnswer struct {
	Tools      []resolvedTool   `json:"tools"`
	Unresolved []domain.Problem `json:"unresolved"` // entries that can't be called, and why
}

// maxResolve bounds how many tools a skill may name.
const maxResolve = 500

// resolveTools looks up a skill's integration_tools list.
func (s *Server) resolveTools(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	q := r.query()
	options := q.toolOptions()
	wanted, problems := readToolList(doc)
	if err := domain.RefuseAll(append(q.problems, problems...)); err != nil {
		return answer{}, err
	}
	body := resolveAnswer{Tools: []resolvedTool{}, Unresolved: []domain.Problem{}}
	for n, w := range wanted {
		unresolved := func(code, detail string) {
			body.Unresolved = append(body.Unresolved, domain.Problem{Pointer: "/integration_tools/" + strconv.Itoa(n), Code: code, Detail: detail})
		}
		tool, err := s.Read.Tool(r, r.workspace, w.integration, w.endpoint)
		if refusal, ok := errors.AsType[*domain.Error](err); ok && (refusal.Kind == domain.NotFound || refusal.Kind == domain.Conflict) {
			unresolved(refusal.Code, refusal.Message)
			continue
		}
		if err != nil {
			return answer{}, err
		}
		definition, err := toolformat.Render(tool, options)
		if err != nil {
			unresolved("not_expressible", err.Error())
			continue
		}
		body.Tools = append(body.Tools, resolvedTool{
			IntegrationID: tool.Integration.ID, IntegrationName: tool.Integration.Name, EndpointName: tool.Endpoint.Name, Tool: definition,
		})
	}
	s.recordUnresolved(r, body.Unresolved)
	return answer{status: http.StatusOK, body: body}, nil
}

// wantedTool is an entry of a skill's integration_tools.
type wantedTool struct{ integration, endpoint string }

// readToolList reads integration_tools: objects with integration_id (or
// integration, by name) and endpoint_name (or endpoint).
func readToolList(doc domain.Document) (wanted []wantedTool, problems []domain.Problem) {
	problem := func(at, code, detail string) {
		problems = append(problems, domain.Problem{Pointer: at, Code: code, Detail: detail})
	}
	problems = unknownMembers("", doc, "integration_tools")
	list, ok := doc["integration_tools"].([]any)
	if !ok || len(list) > maxResolve {
		problem("/integration_tools", "type", "must be an array of at most "+strconv.Itoa(maxResolve)+" objects")
		return nil, problems
	}
	for n, element := range list {
		at := "/integration_tools/" + strconv.Itoa(n)
		members, ok := element.(map[string]any)
		if !ok {
			problem(at, "type", "must be an object")
			continue
		}
		problems = append(problems, unknownMembers(at, members, "integration_id", "integration", "endpoint_name", "endpoint")...)
		w := wantedTool{integration: oneText(members, "integration_id", "integration"), endpoint: oneText(members, "endpoint_name", "endpoint")}
		if w.integration == "" {
			problem(at+"/integration_id", "required", "is required, or integration with a name")
		}
		if w.endpoint == "" {
			problem(at+"/endpoint_name", "required", "is required")
		}
		wanted = append(wanted, w)
	}
	return wanted, problems
}

// oneText returns the first of the named members that is a string.
func oneText(members map[string]any, names ...string) string {
	for _, name := range names {
		if s, ok := members[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// invokeEndpoint is like a test of an endpoint without its details: it needs an enabled
// integration, and each call is recorded.
func (s *Server) invokeEndpoint(r *request) (answer, error) {
	params, dryRun, err := r.test()
	if err != nil {
		return answer{}, err
	}
	if dryRun {
		return answer{}, domain.Refuse("/dry_run", "not_allowed", "a dry run is a test; use the test route")
	}
	result, err := s.Commands.InvokeEndpoint(r, r.caller, r.id(), r.Param("name"), params)
	if err != nil {
		return answer{}, err
	}
	return called(result), nil
}
