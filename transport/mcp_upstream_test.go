package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
)

const libraryToken = "t0ken-of-the-library"

// library starts an MCP server with a resource, a template, a prompt and tools, and makes an
// integration of it in the workspace.
func (s *service) library(t *testing.T, name string) {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, &mcp.ServerOptions{
		CompletionHandler: func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{r.Params.Ref.Type + " " + r.Params.Ref.Name + r.Params.Ref.URI}}}, nil
		},
	})
	read := func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		if strings.HasSuffix(r.Params.URI, "gone") {
			return nil, mcp.ResourceNotFoundError(r.Params.URI)
		}
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: name + " has " + r.Params.URI + " " + libraryToken}}}, nil
	}
	server.AddResource(&mcp.Resource{Name: "rules", URI: "file:///rules?v=1#top"}, read)
	server.AddResourceTemplate(&mcp.ResourceTemplate{Name: "book", URITemplate: "book://{shelf}/{+title}"}, read)
	server.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "who"}}}, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{
			{Role: "user", Content: &mcp.TextContent{Text: name + " greets " + r.Params.Arguments["who"]}},
			{Role: "user", Content: &mcp.ResourceLink{Name: "rules", URI: "file:///rules?v=1#top"}},
		}}, nil
	})
	server.AddPrompt(&mcp.Prompt{Name: "with__two " + strings.Repeat("x", 60)}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "hashed"}}}}, nil
	})
	object := map[string]any{"type": "object"}
	server.AddTool(&mcp.Tool{Name: "count", InputSchema: object, OutputSchema: map[string]any{"type": "object", "required": []any{"books"}, "properties": map[string]any{"books": map[string]any{"type": "integer"}}}},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: `{"books":3}`}}, StructuredContent: map[string]any{"books": 3}}, nil
		})
	server.AddTool(&mcp.Tool{Name: "index", InputSchema: object}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for n := range 3 {
			if token := r.Params.GetProgressToken(); token != nil {
				_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(n + 1), Total: 3, Message: "shelf " + libraryToken})
			}
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "indexed"}}}, nil
	})
	server.AddTool(&mcp.Tool{Name: "refuse", InputSchema: object}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return nil, &jsonrpc.Error{Code: -32042, Message: "sign first", Data: json.RawMessage(`{"form":"https://library.example/sign","key":"` + libraryToken + `"}`)}
	})
	u := listen(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil).ServeHTTP)
	s.create(members{
		"name": name, "display_name": name, "protocol": "mcp", "mcp_transport": "http", "mcp_url": u.url, "auth": members{"bearer_token_value": libraryToken},
	})
	found := s.post("/integrations/"+name+"/discover", members{}).is(200)
	s.put("/integrations/"+name, members{"endpoints": found.at("endpoints")}).is(200)
}

func TestResourcesAndPromptsOfMCPServersArePassedOnUnderTheirIntegration(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.library(t, "north")
	s.library(t, "south")
	s.create(members{"name": "broken", "display_name": "B", "protocol": "mcp", "mcp_transport": "http", "mcp_url": listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }).url})
	session := s.connected(t, "/v1/acme/mcp")

	resources, err := session.ListResources(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, resources.Resources, 2, "%v", resources.Meta)
	require.Equal(t, "integrations://north/file:///rules?v=1#top", resources.Resources[0].URI)
	require.Equal(t, "integrations://south/file:///rules?v=1#top", resources.Resources[1].URI)
	lacking, _ := json.Marshal(resources.Meta["integrations/unavailable"])
	require.Contains(t, string(lacking), `"integration":"broken"`)
	require.Contains(t, string(lacking), "502")

	templates, err := session.ListResourceTemplates(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "integrations://north/book://{shelf}/{+title}", templates.ResourceTemplates[0].URITemplate)
	for uri, want := range map[string]string{
		"integrations://south/file:///rules?v=1#top":    "south has file:///rules?v=1#top [secret]",
		"integrations://north/book://a%2Fb/c/d%20e?x=1": "north has book://a%2Fb/c/d%20e?x=1 [secret]",
	} {
		got, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		require.NoError(t, err, uri)
		require.Equal(t, want, got.Contents[0].Text, "it goes back unchanged, and no secret comes")
		require.Equal(t, uri, got.Contents[0].URI)
	}
	for _, uri := range []string{"integrations://nowhere/file:///rules", "file:///rules?v=1#top", "integrations://north/book://a/gone", "integrations://broken/x:y"} {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		require.Error(t, err, uri)
	}

	prompts, err := session.ListPrompts(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, prompts.Prompts, 4)
	require.Equal(t, "north__greet", prompts.Prompts[0].Name)
	greeting, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "south__greet", Arguments: map[string]string{"who": "Ada"}})
	require.NoError(t, err)
	require.Equal(t, "south greets Ada", greeting.Messages[0].Content.(*mcp.TextContent).Text)
	require.Equal(t, "integrations://south/file:///rules?v=1#top", greeting.Messages[1].Content.(*mcp.ResourceLink).URI)
	hashed, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: prompts.Prompts[1].Name})
	require.NoError(t, err)
	require.Equal(t, "hashed", hashed.Messages[0].Content.(*mcp.TextContent).Text)
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "south__none"})
	require.Error(t, err)

	for ref, want := range map[*mcp.CompleteReference]string{
		{Type: "ref/prompt", Name: "north__greet"}:                                  "ref/prompt greet",
		{Type: "ref/resource", URI: "integrations://south/book://{shelf}/{+title}"}: "ref/resource book://{shelf}/{+title}",
	} {
		completed, err := session.Complete(t.Context(), &mcp.CompleteParams{Ref: ref, Argument: mcp.CompleteParamsArgument{Name: "who", Value: "A"}})
		require.NoError(t, err)
		require.Equal(t, []string{want}, completed.Completion.Values)
	}

	own := s.connected(t, "/v1/acme/mcp/south?names=own")
	got, err := own.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "file:///rules?v=1#top"})
	require.NoError(t, err)
	require.Equal(t, "file:///rules?v=1#top", got.Contents[0].URI)
	require.Equal(t, "indexed", firstText(callTool(t, own, "index", nil)))
	_, err = s.mcpAt(t, "/v1/acme/mcp?names=own", s.key)
	require.ErrorContains(t, err, "Unprocessable Entity")

	calls := s.get("/integrations/south/calls").is(200)
	require.Equal(t, "mcp", calls.at("items", 0, "kind"), calls.text)
}

func TestANarrowedKeySeesNoResourcesOfOthers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.library(t, "north")
	s.library(t, "south")
	for _, row := range []struct {
		scope members
		want  []string
	}{
		{members{"integrations": []string{"north"}}, []string{"integrations://north/file:///rules?v=1#top"}},
		{members{"tools": []string{"north__*"}}, nil},
		{members{"methods": []string{"POST"}}, nil},
	} {
		row.scope["name"], row.scope["permissions"] = "narrow", []string{"Integration.invoke"}
		key := s.post("/api-keys", row.scope).is(201).at("key").(string)
		session, err := s.mcp(t, key)
		require.NoError(t, err)
		list, err := session.ListResources(t.Context(), nil)
		require.NoError(t, err)
		var got []string
		for _, r := range list.Resources {
			got = append(got, r.URI)
		}
		require.Equal(t, row.want, got, "%v", list.Meta)
		prompts, err := session.ListPrompts(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, prompts.Prompts, 2*len(row.want))
		_, err = session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "integrations://south/file:///rules?v=1#top"})
		require.ErrorContains(t, err, "esource not found")
		_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "south__greet"})
		require.ErrorContains(t, err, "there is no prompt with that name")
		_ = session.Close()
	}
}

func TestProgressDataAndStructuredResultsOfToolsArePassedOn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.library(t, "north")
	reports := make(chan *mcp.ProgressNotificationParams, 8)
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { reports <- r.Params },
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: s.url + "/v1/acme/mcp", HTTPClient: &http.Client{Transport: bearer(s.key)}}, nil)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()

	params := &mcp.CallToolParams{Name: "north__index"}
	params.SetProgressToken("mine")
	got, err := session.CallTool(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, "indexed", firstText(got))
	for n := range 3 {
		report := <-reports
		require.Equal(t, mcp.ProgressNotificationParams{ProgressToken: "mine", Progress: float64(n + 1), Total: 3, Message: "shelf [secret]"}, *report)
	}

	refused := callTool(t, session, "north__refuse", nil)
	require.True(t, refused.IsError)
	require.Contains(t, firstText(refused), "sign first")
	require.Contains(t, firstText(refused), "https://library.example/sign", "%+v", s.post("/integrations/north/endpoints/refuse/test", members{}).text)
	require.NotContains(t, firstText(refused), libraryToken)

	list, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.NotNil(t, list.Tools[0].OutputSchema, "%+v", list.Tools[0])
	require.Equal(t, map[string]any{"books": 3.0}, callTool(t, session, "north__count", nil).StructuredContent)
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"n":%s}`, r.URL.Query().Get("n"))
	})
	s.create(rest("crm", u.url, members{"endpoints": []any{endpoint("get", members{
		"path": "/", "method": "GET", "input_schema": members{"type": "object", "properties": members{"n": members{"type": "string"}}},
		"output_schema": members{"type": "object", "properties": members{"n": members{"type": "integer"}}, "required": []string{"n"}},
	})}}))
	require.Equal(t, map[string]any{"n": 7.0}, callTool(t, session, "crm__get", members{"n": "7"}).StructuredContent)
	unfit := callTool(t, session, "crm__get", members{"n": `"x"`})
	require.True(t, unfit.IsError)
	require.Contains(t, firstText(unfit), "/n")
}

func TestAClientIsNotifiedOfChangesInBothEras(t *testing.T) {
	t.Parallel()
	s := serve(t)
	changed := make(chan struct{}, 8)
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
	})
	at := &mcp.StreamableClientTransport{Endpoint: s.url + "/v1/acme/mcp", HTTPClient: &http.Client{Transport: bearer(s.key)}}
	session, err := client.Connect(t.Context(), at, nil)
	require.NoError(t, err)
	require.Equal(t, "2026-07-28", session.InitializeResult().ProtocolVersion)
	defer func() { _ = session.Close() }()
	await := func(what string, n int) {
		t.Helper()
		for m := 0; ; m++ { // what is created while nobody listens yet is not notified of
			s.create(rest(fmt.Sprintf("%s-%d-%d", what, n, m), "https://a.example", nil))
			select {
			case <-changed:
				return
			case <-time.After(200 * time.Millisecond):
				require.Less(t, m, 100)
			}
		}
	}
	await("new", 1)
	await("new", 2)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/acme/mcp", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+s.issue("acme", access.Invoke))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	lines := bufio.NewScanner(resp.Body)
	s.create(rest("created", "https://a.example", nil))
	for lines.Scan() && !strings.Contains(lines.Text(), "notifications/tools/list_changed") {
	}
	require.NoError(t, lines.Err())
	req.Header.Set("Accept", "application/json")
	refused, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = refused.Body.Close() }()
	require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode)
}
