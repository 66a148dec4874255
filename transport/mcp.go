package transport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/toolformat"
)

// newMCP serves each workspace as an MCP server (streamable HTTP, without sessions) whose
// tools are the endpoints of its enabled integrations. A call is an invocation: the same
// permissions, limits, pipeline and record. Each request gets its own server, because the
// tools depend on the caller.
//
// It answers in JSON; in a stream of events where it has more to send than the answer.
func (s *Server) newMCP(streams bool) http.Handler {
	return mcp.NewStreamableHTTPHandler(s.mcpServer, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: !streams,
		DisableLocalhostProtection: true, // checkHost does this, and knows the allowed names
	})
}

// mcpServer returns a server for one request. A tool that is called is added to it first, so
// that the SDK answers in the form of the client's protocol version. Lists are handled here:
// the SDK pages through tools in memory, and a workspace may have too many for that.
func (s *Server) mcpServer(req *http.Request) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "integrations", Title: "Integrations", Version: cmp.Or(s.Version, "dev")}, &mcp.ServerOptions{
		Instructions: "The tools call the external systems that this workspace is connected to. Its resources and prompts are those of its MCP servers.",
		Capabilities: &mcp.ServerCapabilities{
			Tools: &mcp.ToolCapabilities{ListChanged: true}, Resources: &mcp.ResourceCapabilities{ListChanged: true},
			Prompts: &mcp.PromptCapabilities{ListChanged: true}, Completions: &mcp.CompletionCapabilities{},
		},
		CompletionHandler: s.mcpComplete,
		SetCacheable:      func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = cacheScope },
	})
	if r, err := asker(req.Context()); err != nil || refuseMethods(server, r.refusals) != nil {
		return nil // the SDK refuses the request
	}
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			r, err := asker(ctx)
			if err != nil {
				return nil, err
			}
			r = r.of(r.request, method)
			ctx = context.WithValue(ctx, askedBy{}, r)
			switch params := req.GetParams().(type) {
			case *mcp.ListToolsParams:
				return s.mcpListTools(ctx, r, params)
			case *mcp.CallToolParamsRaw:
				// The arguments are checked by the endpoint, not by this schema.
				server.AddTool(&mcp.Tool{Name: params.Name, InputSchema: map[string]any{"type": "object"}}, s.mcpCallTool)
			case *mcp.ListResourcesParams:
				return s.mcpListResources(ctx, r, params)
			case *mcp.ListResourceTemplatesParams:
				return s.mcpListResourceTemplates(ctx, r, params)
			case *mcp.ReadResourceParams:
				if at, err := url.Parse(params.URI); err != nil || !at.IsAbs() {
					return nil, mcp.ResourceNotFoundError(params.URI)
				}
				server.AddResource(&mcp.Resource{Name: "resource", URI: params.URI}, s.mcpReadResource)
			case *mcp.ListPromptsParams:
				return s.mcpListPrompts(ctx, r, params)
			case *mcp.GetPromptParams:
				server.AddPrompt(&mcp.Prompt{Name: params.Name}, s.mcpGetPrompt)
			case *mcp.SubscriptionsListenParams:
				r.listening.Go(func() { s.mcpNotify(r, server) })
			}
			result, err := next(ctx, method, req)
			return keepTexts(result), err
		}
	})
	return server
}

// cacheScope keeps proxies from showing one caller's answer to another.
const cacheScope = "private"

// serveMCP passes a request to the MCP server, which answers it.
func (s *Server) serveMCP(r *request) (answer, error) {
	if err := r.actFor(); err != nil {
		return answer{}, err
	}
	view, err := r.mcpView()
	if err != nil {
		return answer{}, err
	}
	if view.integrations != nil { // so that a wrong name is an error of the URL
		if view.tools, err = s.Read.ToolsOf(r, r.workspace, view.integrations); err != nil {
			return answer{}, err
		}
	}
	data, err := r.bytes(maxTestBody)
	if err == nil {
		err = r.admit(data)
	}
	if err != nil {
		return answer{}, err
	}
	r.caller.Kind = domain.MCPCall
	if !view.search && isPlain(r.Request.Header) {
		if call, ok := readPlainCall(data); ok {
			return s.servePlainCall(r, view, call)
		}
	}
	if !isJSON(r.Request.Header) {
		s.refuseAs(r.Context, http.StatusUnsupportedMediaType, refuseEnvelope("the header Content-Type must be application/json"))
		return answer{done: true}, nil
	}
	version := r.GetHeader("Mcp-Protocol-Version")
	messages, isBatch, err := readEnvelopes(data, version)
	if err != nil {
		s.refuseAs(r.Context, http.StatusBadRequest, err)
		return answer{done: true}, nil
	}
	for range len(messages) - 1 { // of a batch; the first is what the request itself counts as
		if err := r.another(); err != nil {
			return answer{}, err
		}
	}
	if refused, ok := refuseNow(messages, version); ok {
		return refused, nil
	}
	data, refusals, err := withoutRefused(data, messages, isBatch)
	if err != nil {
		return answer{}, err
	}
	r.Request.Body = io.NopCloser(bytes.NewReader(data))
	ctx, end := context.WithCancel(r.ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer end() // before waiting
	inner := *r
	inner.ctx = ctx
	handler := s.mcp
	if asksForProgress(data) {
		handler = s.mcpStreams
	}
	out := &plainErrors{ResponseWriter: r.Writer, extend: s.streamOf(r).extend}
	handler.ServeHTTP(out, r.Request.WithContext(context.WithValue(ctx, askedBy{}, &mcpRequest{request: &inner, view: view, end: end, listening: &listening, refusals: refusals})))
	if out.status != 0 {
		r.Writer.Header().Del("Content-Length")
		s.refuseAs(r.Context, out.status, domain.Errorf(domain.Invalid, "mcp_request_invalid", "%s", cmp.Or(strings.TrimSpace(string(out.text)), http.StatusText(out.status))))
	}
	return answer{done: true}, nil
}

// mcpPage is how many integrations a page of tools/list covers.
const mcpPage = 50

func (s *Server) mcpListTools(ctx context.Context, r *mcpRequest, params *mcp.ListToolsParams) (mcp.Result, error) {
	result := &mcp.ListToolsResult{Cacheable: mcp.Cacheable{CacheScope: cacheScope}, Tools: []*mcp.Tool{}}
	if r.view.search {
		result.Tools = searchTools()
		return result, nil
	}
	tools := r.view.tools
	if r.view.integrations == nil {
		scope := []string{"mcp", string(r.workspace)}
		var after, next *projections.Key
		var err error
		if params != nil && params.Cursor != "" {
			if after, err = s.Cursors.OpenKey(params.Cursor, scope...); err != nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the cursor is not one of this list"}
			}
		}
		if tools, next, err = s.Read.Tools(ctx, r.workspace, after, mcpPage); err != nil {
			return nil, s.mcpError(ctx, r, err)
		}
		result.NextCursor = s.Cursors.SealKey(next, scope...)
	}
	for _, t := range tools {
		if one, ok := mcpTool(t); ok {
			if r.view.own {
				one.Name = cmp.Or(t.Endpoint.Tool, t.Endpoint.Name)
			}
			result.Tools = append(result.Tools, one)
		}
	}
	return result, nil
}

func (s *Server) mcpCallTool(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	r, err := asker(ctx)
	if err != nil {
		return nil, err
	}
	// The SDK's context outlives the caller, and holds values that its client would take for
	// its own when the upstream is an MCP server too, such as the version of the protocol.
	called, cancel := context.WithCancel(r.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	asked := ctx // by which the SDK knows the request that a notification belongs to
	ctx, r, end := s.inTraceOf(called, r, req.Params.Meta, "tools/call")
	defer end()
	if r.view.search {
		switch req.Params.Name {
		case findToolsName:
			return s.mcpFindTools(ctx, r, req.Params.Arguments)
		case callToolName:
			return s.mcpCallFound(ctx, r, req.Params.Arguments)
		}
	}
	if token := req.Params.GetProgressToken(); token != nil {
		own := *r.request
		r = r.of(&own, r.method)
		r.caller.Progress = func(p domain.Progress) {
			_ = req.Session.NotifyProgress(asked, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: p.Done, Total: p.Total, Message: p.Message})
		}
	}
	return s.mcpCall(ctx, r, req.Params.Name, func() (domain.Document, error) { return readArguments(req.Params.Arguments) })
}

// servePlainCall answers a call as the SDK does.
func (s *Server) servePlainCall(r *request, view mcpView, c plainCall) (answer, error) {
	id, err := jsonrpc.MakeID(c.id)
	if err != nil {
		return answer{}, err
	}
	asked := &mcpRequest{request: r, view: view, method: "tools/call"}
	ctx, asked, end := s.inTraceOf(r.ctx, asked, nil, asked.method)
	defer end()
	response := &jsonrpc.Response{ID: id}
	result, err := s.mcpCall(ctx, asked, c.name, func() (domain.Document, error) { return c.arguments, nil })
	if err != nil {
		response.Error = err
	} else if response.Result, err = marshalPlain(result); err != nil {
		return answer{}, err
	}
	data, err := jsonrpc.EncodeMessage(response)
	if err != nil {
		return answer{}, err
	}
	s.streamOf(r).extend()
	header := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache, no-transform"}
	return answer{status: http.StatusOK, body: encoded(data), header: header}, nil
}

// mcpCall calls the tool with a name. What the model can correct is a result.
func (s *Server) mcpCall(ctx context.Context, r *mcpRequest, name string, arguments func() (domain.Document, error)) (*mcp.CallToolResult, error) {
	if id, endpoint, ok := r.storedTool(name); ok {
		if given, err := arguments(); err == nil {
			result, of, err := s.Commands.InvokeTool(ctx, r.caller, id, endpoint, given)
			if kind := domain.KindOf(err); kind != domain.NotFound && domain.CodeOf(err) != "integration_disabled" {
				return s.mcpResult(ctx, r, result, of, err, "/arguments")
			} // nothing was called, and the read model has the words
		}
	}
	tool, err := s.mcpTool(ctx, r, name)
	if err != nil {
		return nil, s.mcpError(ctx, r, err)
	}
	return s.mcpInvoke(ctx, r, tool, arguments, "/arguments")
}

// mcpTool returns the tool with a name, among those of the request. That a narrowed key names
// another one is recorded.
func (s *Server) mcpTool(ctx context.Context, r *mcpRequest, name string) (domain.Tool, error) {
	tool, err := s.toolNamed(ctx, r, name)
	if domain.KindOf(err) == domain.NotFound {
		s.recordUnseen(r.request, r.method, "tool_not_found")
	}
	return tool, err
}

func (s *Server) toolNamed(ctx context.Context, r *mcpRequest, name string) (domain.Tool, error) {
	if r.view.own {
		if at := slices.IndexFunc(r.view.tools, func(t domain.Tool) bool { return cmp.Or(t.Endpoint.Tool, t.Endpoint.Name) == name }); at >= 0 {
			return r.view.tools[at], nil
		}
		return domain.Tool{}, errNoTool
	}
	name = toolformat.ToolName(name)
	if r.view.integrations == nil {
		return s.Read.FindTool(ctx, r.workspace, name)
	}
	if at := slices.IndexFunc(r.view.tools, func(t domain.Tool) bool { return t.Name == name }); at >= 0 {
		return r.view.tools[at], nil
	}
	return domain.Tool{}, errNoTool
}

var errNoTool = domain.Errorf(domain.NotFound, "tool_not_found", "there is no tool with that name")

// mcpInvoke invokes the endpoint of a tool with arguments that are at a place in the params
// of the call. What the model can correct is a result.
func (s *Server) mcpInvoke(ctx context.Context, r *mcpRequest, tool domain.Tool, arguments func() (domain.Document, error), at string) (*mcp.CallToolResult, error) {
	given, err := arguments()
	if err != nil {
		return toolText(err.Error(), true), nil
	}
	result, of, err := s.Commands.InvokeTool(ctx, r.caller, tool.Integration.ID, tool.Endpoint.Name, given)
	return s.mcpResult(ctx, r, result, of, err, at)
}

// mcpResult returns the result of a call of an integration, or its error, as a client gets it.
func (s *Server) mcpResult(ctx context.Context, r *mcpRequest, result domain.CallResult, of domain.Integration, err error, at string) (*mcp.CallToolResult, error) {
	refusal, ok := errors.AsType[*domain.Error](err)
	if ok && refusal.Kind == domain.Invalid {
		return toolText(ofArguments(refusal, at), true), nil
	}
	if ok && strings.HasPrefix(refusal.Code, "approval_") && refusal.Kind != domain.Unavailable {
		s.recordRefusal(r.request, r.method, refusal)
		return toolText(refusal.Message, true), nil
	}
	if err != nil {
		return nil, s.mcpError(ctx, r, err)
	}
	if result.ErrorCode == domain.CallApprovalRequired {
		s.recordDenied(r.request, r.method, string(result.ErrorCode))
	}
	return r.view.shown(showResult(result), of), nil
}
