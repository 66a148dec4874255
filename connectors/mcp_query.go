package connectors

import (
	"context"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/domain"
)

const (
	queryTimeout  = 10 * time.Second
	maxQueryItems = 1000 // of a list
)

// itemsOf names the member of a list's result that has its items.
var itemsOf = map[domain.MCPMethod]string{
	domain.ListResources: "resources", domain.ListResourceTemplates: "resourceTemplates", domain.ListPrompts: "prompts",
}

// Query makes a request to the MCP server of an integration. A failure of the upstream is in
// the reply. An error of kind Unavailable, with the code overloaded, means that nothing was
// sent.
func (r *Registry) Query(ctx context.Context, q domain.MCPQuery) (domain.MCPReply, error) {
	m, ok := r.connectors[q.Integration.Protocol].(mcpConnector)
	if !ok {
		return domain.MCPReply{}, fmt.Errorf("%s: %q is no protocol of MCP", q.Method, q.Integration.Protocol)
	}
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	soon, cancel := context.WithTimeout(ctx, admission.Patience)
	defer cancel()
	if err := admission.Call(soon); err != nil {
		return domain.MCPReply{}, err
	}
	return m.query(ctx, q), nil
}

func (m mcpConnector) query(ctx context.Context, q domain.MCPQuery) (got domain.MCPReply) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	defer func() { got.Call.Duration = time.Since(start) }()
	ctx, cancel := context.WithTimeoutCause(ctx, queryTimeout, callerror.Upstream("The MCP server had not answered after %s.", queryTimeout))
	defer cancel()
	r, e := m.request(q.Integration, nil, nil)
	if e != nil {
		got.Call = failed(got.Call, e)
		return got
	}
	r.Auth, r.Keyring, r.subject, r.invocation = q.Integration.Auth, q.Keyring, q.Subject, true
	r.limit = m.upstreams.Limit(q.Integration.Workspace, r.Request.URL)
	r.Request.SetTraceParent(q.TraceParent)
	if e = m.sign(ctx, r); e == nil {
		var spoken reply
		spoken, e = m.converse(ctx, r, domain.Endpoint{}, func(s *mcp.Session) (reply, *callerror.Error) {
			got.Result, got.Truncated, got.Refusal = nil, false, 0
			return m.ask(ctx, s, q, &got)
		})
		got.Call.StatusCode, got.Call.Attempts, got.Call.ResponseBytes = spoken.answer.Status, spoken.attempts, len(spoken.answer.Body)
		got.Call.ResponseHeaders = r.Request.Scrubber().Headers(spoken.answer.Header)
	}
	if e != nil {
		got.Result = nil
		got.Call = failed(got.Call, &callerror.Error{Code: e.Code, Sentence: e.Shown(r.Request.Scrubber())})
		return got
	}
	masked, _ := r.Request.Scrubber().Value(map[string]any(got.Result)).(map[string]any)
	got.Result = masked
	return got
}

// ask makes a request in a session, and of a list one for each page.
func (m mcpConnector) ask(ctx context.Context, s *mcp.Session, q domain.MCPQuery, got *domain.MCPReply) (spoken reply, e *callerror.Error) {
	member, lists := itemsOf[q.Method]
	if !s.Offers(q.Method) {
		if lists {
			got.Result = domain.Document{member: []any{}}
			return reply{}, nil
		}
		return reply{}, callerror.FoundMisconfigured("The MCP server does not offer %s.", q.Method)
	}
	items, cursor := []any{}, ""
	pages := cursors{}
	for range maxToolPages {
		raw, e := s.Query(ctx, q.Method, q.Params, cursor)
		if got.Refusal = s.Refusal(); e != nil {
			return spoken, e
		}
		spoken.answer.Body = append(spoken.answer.Body, raw...)
		decoded, _, crowded := decodeWithin(ctx, raw, false)
		result, isObject := decoded.(map[string]any)
		switch {
		case crowded != nil:
			return spoken, crowded
		case !isObject:
			return spoken, callerror.Upstream("What the MCP server answered is not the result of %s.", q.Method)
		case !lists:
			got.Result = result
			return spoken, nil
		}
		page, _ := result[member].([]any)
		items = append(items, page...)
		if cursor, _ = result["nextCursor"].(string); cursor == "" || len(items) > maxQueryItems {
			break
		}
		if pages.repeat(cursor) {
			items = distinct(items)
			break
		}
	}
	got.Truncated = cursor != "" || len(items) > maxQueryItems
	got.Result = domain.Document{member: items[:min(len(items), maxQueryItems)]}
	return spoken, nil
}
