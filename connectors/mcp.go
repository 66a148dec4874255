package connectors

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// mcp calls the tools of MCP servers, over HTTP or as programs of this machine.
// An endpoint is a tool of its name. Each call is a session of its own: what one
// call does to a server can't reach into the next.
type mcp struct {
	way      *outbound
	schemas  *recent[listedTool]
	programs *programs // nil: none is started
}

func newMCP(way *outbound, p *programs) mcp {
	return mcp{way: way, schemas: newRecent[listedTool](mostSchemas), programs: p}
}

func (m mcp) call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	i, e := call.Integration, call.Endpoint
	auth := e.Auth
	if auth == nil {
		auth = i.Auth
	}
	problems, f := m.way.checkParams(ctx, e, call.Params)
	exchange, arguments, unfit := exchangeHeaders(auth, call.Params)
	if schema, known := m.remembered(i, e); known {
		unfit = slices.Concat(unfit, m.misfits(ctx, schema, arguments))
	}
	if err := refuseParams(slices.Concat(problems, unfit)); err != nil {
		return domain.CallResult{}, err
	}
	if arguments == nil {
		arguments = map[string]any{}
	}
	out, unbuilt := m.build(i, e.Headers, arguments)
	if f == nil {
		f = unbuilt
	}
	if f != nil {
		return failed(domain.CallResult{Duration: time.Since(start)}, f), nil
	}
	ctx, cancel := limited(ctx, e)
	defer cancel()
	out.dry, out.exchange = call.DryRun, exchange
	out.to, out.invocation = m.way.upstreams.of(i.Workspace, out.url), call.Invocation
	f = m.ready(ctx, i, auth, call.Keyring, out)
	result := domain.CallResult{Request: out.shown()}
	if f == nil && !call.DryRun {
		var misfit []domain.Problem
		if misfit, f = m.attempt(ctx, &result, i, e, out, arguments); misfit != nil {
			return domain.CallResult{}, refuseParams(misfit)
		}
	}
	result.Duration = time.Since(start)
	if f != nil {
		f = &fault{code: f.code, sentence: f.shown(scrub.New(out.secrets...))}
		return failed(result, f), nil
	}
	return result, nil
}

// build returns a call of a tool without credentials, as it is shown. The SDK
// makes the requests that carry it.
func (m mcp) build(i domain.Integration, headers map[string]string, arguments map[string]any) (*outgoing, *fault) {
	body, err := jsonvalue.Compact(arguments)
	if err != nil {
		return nil, misconfigured("The parameters can't be written as JSON.")
	}
	if i.MCPTransport != domain.HTTP && i.MCPTransport != domain.SSE {
		return m.programs.build(i, body)
	}
	target, err := url.Parse(i.MCPURL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" || target.User != nil {
		return nil, misconfigured("The mcp_url of this integration is not set, or is not an http or https URL.")
	}
	out := &outgoing{method: toolsCall, url: target, base: i.MCPURL, body: []byte(body), header: http.Header{}}
	out.header.Set("User-Agent", m.way.agent)
	for name, value := range headers {
		out.header.Set(name, value)
	}
	return out, nil
}

// judge is outbound.judge for what goes to an MCP server. A program of a profile
// is at no address.
func (m mcp) judge(out *outgoing) *fault {
	if out.program != nil {
		return nil
	}
	return m.way.judge(out)
}

// ready is outbound.ready for what goes to an MCP server: its secret headers are
// opened too, each for the origin it was given for.
func (m mcp) ready(ctx context.Context, i domain.Integration, a *domain.Auth, open domain.Keyring, out *outgoing) *fault {
	if f := m.judge(out); f != nil {
		return f
	}
	for _, name := range slices.Sorted(maps.Keys(i.MCPHeaders)) {
		ref, shown := i.MCPHeaders[name], textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case ref.ID == "" || open == nil:
			return misconfigured("The secret of the header %s in mcp_headers is not set.", shown)
		case !isFor(ref, i.MCPURL, true):
			return misconfigured("The secret of the header %s in mcp_headers was given for another destination; give it again for this one.", shown)
		}
		secret, err := open(ctx, ref)
		if err != nil {
			return unopened(ctx, err)
		}
		out.hideHeader(name, secret.Reveal(), secret.Reveal())
		out.opened = append(out.opened, ref.ID)
	}
	if f := m.way.sign(ctx, i, a, open, out); f != nil {
		return f
	}
	for name, values := range out.header {
		if !slices.ContainsFunc(values, httpguts.ValidHeaderFieldValue) {
			return misconfigured("The header %s has a character that no header can carry, such as a line break.", name)
		}
	}
	return nil
}

// attempt is converse for a call that counts against its upstream. It converses
// once more, with a fresh token, when the server refuses the one it got after it
// had connected: what is answered with 401 was not done, not even a tool's call.
func (m mcp) attempt(ctx context.Context, result *domain.CallResult, i domain.Integration, e domain.Endpoint, out *outgoing, arguments map[string]any) ([]domain.Problem, *fault) {
	leave, f := out.to.enter(ctx, out.invocation)
	if f != nil {
		return nil, f
	}
	misfit, f := m.converse(ctx, result, i, e, out, arguments)
	if f != nil && f.code == domain.CallAuthFailed {
		refused := result.Attempts
		switch again, unrenewed := out.renewed(ctx, result.StatusCode); {
		case unrenewed != nil:
			f = unrenewed
		case again:
			misfit, f = m.converse(ctx, result, i, e, out, arguments)
			result.Attempts = append(refused, result.Attempts...)
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) { // whoever asked has gone, which says nothing of the upstream
		leave(answer{}, nil)
	} else {
		leave(answer{status: result.StatusCode}, f)
	}
	return misfit, f
}

// converse connects, checks the arguments by the server's own schema where the
// endpoint has none, and calls the tool, once. Problems are of the arguments.
func (m mcp) converse(ctx context.Context, result *domain.CallResult, i domain.Integration, e domain.Endpoint, out *outgoing, arguments map[string]any) ([]domain.Problem, *fault) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	s, attempts, f := m.connect(ctx, i, out, e.Retry)
	result.Attempts = attempts
	if f != nil {
		return nil, m.show(ctx, result, s, nil, f, e)
	}
	defer s.end()
	attempt := func(f *fault) {
		a := domain.CallAttempt{StatusCode: s.seen().status, Duration: time.Since(start)}
		for _, earlier := range attempts {
			a.Duration -= earlier.Duration
		}
		if f != nil {
			a.Error = f.shown(s.wire.scrubber)
		}
		result.Attempts = append(attempts, a)
	}
	if !hasSchema(e) {
		if _, known := m.remembered(i, e); !known {
			tool, f := m.lookUp(ctx, s, i, e)
			if f != nil {
				attempt(f)
				return nil, m.show(ctx, result, s, nil, f, e)
			}
			if problems := m.misfits(ctx, tool.schema, arguments); problems != nil {
				return problems, nil
			}
		}
	}
	raw, f := s.request(ctx, toolsCall, func(ctx context.Context, client *sdk.ClientSession) error {
		_, err := client.CallTool(ctx, &sdk.CallToolParams{Name: e.Name, Arguments: arguments})
		return err
	})
	var body []byte
	if f == nil {
		body, f = s.readTool(raw)
	}
	attempt(f)
	return nil, m.show(ctx, result, s, body, f, e)
}

// show puts the answer into result, the way of REST.
func (m mcp) show(ctx context.Context, result *domain.CallResult, s *session, body []byte, f *fault, e domain.Endpoint) *fault {
	got := s.seen()
	headers := got.headers.Clone()
	if headers.Get("Mcp-Session-Id") != "" {
		headers.Set("Mcp-Session-Id", scrub.Mask) // who has it is in the session
	}
	way := rest{way: m.way, media: plainJSON, more: func(int, any) *fault { return f }}
	return way.show(ctx, result, answer{status: got.status, headers: headers, body: body}, nil, e, s.wire.scrubber)
}

// probe connects and asks for the first page of tools: a server whose front
// answers and whose back does not is not healthy.
func (m mcp) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	p := newProbing(m.way.now(), i.Auth)
	out, f := m.build(i, nil, nil)
	if f != nil {
		return p.failed("connect", f)
	}
	p.seen.AuthResolved = i.Auth == nil && len(i.MCPHeaders) == 0
	if f := m.judge(out); f != nil {
		return p.failed("connect", f)
	}
	if f := m.ready(ctx, i, i.Auth, open, out); f != nil {
		return p.failed("resolve_auth", f)
	}
	p.scrubber, p.seen.AuthResolved = scrub.New(out.secrets...), true
	told := signedWith(i.Auth, out)
	if i.Auth == nil && len(i.MCPHeaders) > 0 {
		told = "The secret headers are ready."
	}
	p.step("resolve_auth", told)
	var who string // "" until it is connected
	var first page
	f = p.send(ctx, out, func() (int, *fault) {
		s, _, f := m.connect(ctx, i, out, domain.RetryConfig{})
		if f == nil {
			defer s.end()
			who = s.introduced()
			first, f = s.page(ctx, "")
		}
		p.seen.HTTPStatus = s.seen().status
		return p.seen.HTTPStatus, f
	})
	p.scrubber = scrub.New(out.secrets...)
	if who == "" {
		return p.failed("connect", f)
	}
	p.step("connect", who+".")
	if f != nil {
		return p.failed("list_tools", f)
	}
	return p.healthy("list_tools", who+" and offers "+first.counted()+".")
}
