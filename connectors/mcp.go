package connectors

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/connectors/program"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

const toolsCall = "tools/call" // the method of MCP that a call is shown with

// mcpConnector calls the tools of MCP servers, over HTTP or as programs of this machine. An
// endpoint is a tool of its name. Each call is a session of its own: what one call does
// to a server can't affect the next.
type mcpConnector struct {
	*caller
	tools    *toolSchemas
	programs *program.Pool // nil: none is started
}

func newMCP(c *caller, programs *program.Pool) mcpConnector {
	return mcpConnector{caller: c, tools: newToolSchemas(c.now), programs: programs}
}

func (m mcpConnector) call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	return m.caller.call(ctx, m, call)
}

// verdict returns nil: the errors of an answer are known once it is read as MCP.
func (mcpConnector) verdict(egress.Answer, any) *callerror.Error { return nil }

// build returns a call of a tool as it is shown. The SDK makes the requests that carry
// it.
func (m mcpConnector) build(ctx context.Context, call domain.Call, _ *domain.Auth, params map[string]any) (*request, []domain.Problem, *callerror.Error) {
	if params == nil {
		params = map[string]any{}
	}
	var problems []domain.Problem
	if schema, known := m.tools.get(call.Integration, call.Endpoint); known {
		params = jsonschema.WithoutNulls(schema, params)
		problems = m.misfits(ctx, schema, params)
	}
	r, e := m.request(call.Integration, call.Endpoint.Headers, params)
	return r, problems, e
}

func (m mcpConnector) request(i domain.Integration, headers map[string]string, arguments map[string]any) (*request, *callerror.Error) {
	body, err := jsonvalue.Compact(arguments)
	if err != nil {
		return nil, callerror.Misconfigured("The parameters can't be written as JSON.")
	}
	out := &egress.Request{Method: toolsCall, Body: []byte(body), Header: http.Header{}}
	r := &request{Call: signin.Call{Integration: i, Request: out, BaseURL: i.MCPURL}, params: arguments}
	if i.MCPTransport != domain.HTTP && i.MCPTransport != domain.SSE {
		p, e := m.programs.Program(i)
		if e != nil {
			return nil, e
		}
		out.URL = p.URL
		out.AddSecrets(p.Secrets...)
		r.BaseURL, r.Program, r.program = "", true, &p
		return r, nil
	}
	target, err := url.Parse(i.MCPURL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" || target.User != nil {
		return nil, callerror.Misconfigured("The mcp_url of this integration is not set, or is not an http or https URL.")
	}
	out.URL = target
	out.Header.Set("User-Agent", m.client.UserAgent)
	signin.SetPlainHeaders(out.Header, i)
	for name, value := range headers {
		out.Header.Set(name, value)
	}
	return r, nil
}

// sign opens the secret headers of the server too.
func (m mcpConnector) sign(ctx context.Context, r *request) *callerror.Error {
	if e := m.judge(r); e != nil {
		return e
	}
	if e := signin.SetMCPHeaders(ctx, &r.Call); e != nil {
		return e
	}
	if e := m.authenticate(ctx, r); e != nil {
		return e
	}
	for name, values := range r.Request.Header {
		if !slices.ContainsFunc(values, httpguts.ValidHeaderFieldValue) {
			return callerror.Misconfigured("The header %s has a character that no header can carry, such as a line break.", name)
		}
	}
	return nil
}

// send opens a session and calls the tool, again with a fresh token when the server
// refuses the one it got after the session was open: what is answered with 401 was not
// done, not even the call of a tool.
func (m mcpConnector) send(ctx context.Context, r *request, endpoint domain.Endpoint) (reply, *callerror.Error) {
	var got reply
	e := r.limit.Do(ctx, r.invocation, func() (int, *callerror.Error) {
		_, e := m.attempts.Run(ctx, r.credential, domain.RetryConfig{}, func() upstream.Outcome {
			earlier := got.attempts
			var e *callerror.Error
			got, e = m.converse(ctx, r, endpoint)
			got.attempts = append(earlier, got.attempts...)
			if e == nil || e.Code != domain.CallAuthFailed {
				return upstream.Outcome{Err: e}
			}
			return upstream.Outcome{Status: got.answer.Status, Err: e}
		}, upstream.Once)
		return got.answer.Status, e
	})
	return got, e
}

// converse connects, checks the arguments by the server's own schema where the endpoint
// has none, and calls the tool, once.
func (m mcpConnector) converse(ctx context.Context, r *request, endpoint domain.Endpoint) (reply, *callerror.Error) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	s, attempts, e := m.connect(ctx, r, endpoint.Retry)
	if e != nil {
		return reply{answer: answerOf(s, nil), attempts: attempts}, e
	}
	defer s.Close()
	problems, e := m.checkByServer(ctx, s, r, endpoint)
	if problems != nil {
		return reply{problems: problems}, nil
	}
	var got mcp.Result
	if e == nil {
		got, e = s.CallTool(ctx, toolName(endpoint), r.params)
	}
	a := domain.CallAttempt{StatusCode: s.Last().Status, Duration: time.Since(start)}
	for _, earlier := range attempts {
		a.Duration -= earlier.Duration
	}
	if e != nil {
		a.Error = e.Shown(r.Request.Scrubber())
	}
	return reply{answer: answerOf(s, got.Body), attempts: append(attempts, a), tool: got.Whole}, e
}

// answerOf returns an answer with the status and the headers of the last request.
func answerOf(s *mcp.Session, body []byte) egress.Answer {
	last := s.Last()
	headers := last.Header.Clone()
	if headers.Get("Mcp-Session-Id") != "" {
		headers.Set("Mcp-Session-Id", scrub.Mask) // it admits to the session
	}
	return egress.Answer{Status: last.Status, Header: headers, Body: body}
}

// connect opens a session. Nothing was called by then, so retry decides how often that is
// tried. It returns the attempts that failed.
func (m mcpConnector) connect(ctx context.Context, r *request, retry domain.RetryConfig) (*mcp.Session, []domain.CallAttempt, *callerror.Error) {
	var s *mcp.Session
	attempts, e := m.attempts.Run(ctx, r.credential, retry, func() upstream.Outcome {
		var e *callerror.Error
		server := m.server(r)
		if s, e = mcp.Connect(ctx, server); e == nil {
			return upstream.Outcome{}
		}
		last := s.Last()
		return upstream.Outcome{Status: last.Status, Header: last.Header, Err: e, Shown: e.Shown(server.Scrubber)}
	}, func(o upstream.Outcome, _ bool) bool {
		return o.Err != nil && (o.Err.Code == domain.CallUnreachable || slices.Contains(retry.RetryOnStatus, o.Status))
	})
	if e == nil {
		attempts = attempts[:len(attempts)-1]
	}
	return s, attempts, e
}

// server returns the server of a signed request.
func (m mcpConnector) server(r *request) mcp.Server {
	i := r.Integration
	server := mcp.Server{
		URL: i.MCPURL, SSE: i.MCPTransport == domain.SSE, Client: m.client.With(r.Request.ClientCertificate), Version: m.client.Version,
		Header: r.Request.Header, Query: r.Request.URL.RawQuery, Scrubber: r.Request.Scrubber(), TraceParent: r.Request.TraceParent(),
	}
	if r.program != nil {
		server.Start = func() (*sandbox.Process, *callerror.Error) { return m.programs.Start(i.Workspace, r.program.Command) }
	}
	return server
}

// probe connects and asks for the first page of tools: a server whose front answers and
// whose back does not is not healthy.
func (m mcpConnector) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	p := newProbing(m.caller, i.Auth)
	r, e := m.request(i, nil, nil)
	if e != nil {
		return p.failed("connect", e)
	}
	r.Auth, r.Keyring = i.Auth, open
	p.seen.AuthResolved = i.Auth == nil && len(i.MCPHeaders) == 0 && len(i.HeaderSecrets) == 0
	if e := m.judge(r); e != nil {
		return p.failed("connect", e)
	}
	if e := m.sign(ctx, r); e != nil && !p.unsigned(e) {
		return p.failed("resolve_auth", e)
	}
	if p.challenged {
		p.seen.AuthResolved = false
	} else if i.Auth == nil && len(i.MCPHeaders) > 0 {
		p.signedWith(r, "The secret headers are ready.")
	} else {
		p.signed(r)
	}
	var introduction string // "" until it is connected
	var tools mcp.Page
	e = p.send(ctx, r, func() (int, *callerror.Error) {
		s, _, e := m.connect(ctx, r, domain.RetryConfig{})
		if e == nil {
			defer s.Close()
			introduction = s.Introduction()
			tools, e = s.ListTools(ctx, "")
		}
		p.seen.HTTPStatus = s.Last().Status
		return p.seen.HTTPStatus, e
	})
	if p.isChallenge(p.seen.HTTPStatus) {
		return p.needsSignIn("connect", p.seen.HTTPStatus)
	}
	if introduction == "" {
		return p.failed("connect", e)
	}
	p.step("connect", introduction+".")
	if e != nil {
		return p.failed("list_tools", e)
	}
	return p.healthy("list_tools", introduction+" and offers "+tools.String()+".")
}
