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
	"github.com/seed677028b5/integrations/domain"
)

const toolsCall = "tools/call" // the method of MCP that a call is shown with

// mcpConnector calls the tools of MCP servers, over HTTP or as programs of this machine. An
// endpoint is a tool of its name. What calls leave for later ones is in kept, by the mode of
// the integration.
type mcpConnector struct {
	*caller
	tools    *toolSchemas
	kept     *keptSessions
	programs *program.Pool // nil: none is started
}

func newMCP(c *caller, programs *program.Pool) mcpConnector {
	return mcpConnector{caller: c, tools: newToolSchemas(c.now), kept: newKeptSessions(c.now), programs: programs}
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

// send has a conversation in which the tool is called.
func (m mcpConnector) send(ctx context.Context, r *request, endpoint domain.Endpoint) (reply, *callerror.Error) {
	return m.converse(ctx, r, endpoint, func(s *mcp.Session) (reply, *callerror.Error) {
		problems, e := m.checkByServer(ctx, s, r, endpoint)
		if problems != nil || e != nil {
			return reply{problems: problems}, e
		}
		got, e := s.CallTool(ctx, toolName(endpoint), r.params)
		return reply{answer: answerOf(s, got.Body), tool: got.Whole}, e
	})
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

// server returns the server of a signed request.
func (m mcpConnector) server(ctx context.Context, r *request) mcp.Server {
	i := r.Integration
	server := mcp.Server{
		URL: i.MCPURL, SSE: i.MCPTransport == domain.SSE, Client: m.client.With(r.Request.ClientCertificate), Version: m.client.Version,
		Header: r.Request.Header, Query: r.Request.URL.RawQuery, Scrubber: r.Request.Scrubber(), TraceParent: r.Request.TraceParent(), Progress: r.progress,
	}
	if sign := r.Request.Sign; sign != nil {
		server.Sign = func(sent *http.Request) *callerror.Error { return sign(sent, nil) }
		server.Answered = r.Request.Answered
	}
	if r.program != nil {
		server.Start = func() (*sandbox.Process, *callerror.Error) { return m.start(ctx, i.Workspace, r.program.Command) }
	}
	return server
}

// start starts a program. Programs that no call uses make room for it.
func (m mcpConnector) start(ctx context.Context, w domain.Workspace, c sandbox.Command) (*sandbox.Process, *callerror.Error) {
	const patience = 5 * time.Second // for an idle program to be gone
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		freed := m.programs.Freed()
		process, e := m.programs.Start(w, c)
		if e == nil || !e.Final || !m.kept.makeRoom(w) {
			return process, e
		}
		select {
		case <-freed:
		case <-soon.Done():
			return nil, e
		}
	}
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
		s, _, e := m.connect(ctx, r, domain.RetryConfig{}, keptSession{})
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
