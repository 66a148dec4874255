package transport_test

import (
	"bufio"
	"compress/gzip"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/transport"
)

func TestAnUpdateNamesTheEndpointsThatItRemoves(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list"), endpoint("find")}}))
	header := map[string]string{"Idempotency-Key": "k1"}
	for range 2 {
		got := s.send(request{method: "PUT", path: "/integrations/crm", body: members{"endpoints": []any{endpoint("find")}}, header: header}).is(200)
		require.Equal(t, []any{"list"}, got.at("removed_endpoints"))
	}
	merged := s.put("/integrations/crm?merge=endpoints", members{"endpoints": []any{endpoint("new")}}).is(200)
	require.Len(t, merged.at("endpoints"), 2)
	require.NotContains(t, merged.json, "removed_endpoints")
	s.send(request{method: "PUT", path: "/integrations/crm?merge=endpoints", body: members{"endpoints": []any{endpoint("find")}}, header: header}).is(422, "idempotency_key_reused")
	s.send(request{method: "PUT", path: "/integrations/crm?merge=all", body: members{}, wrong: true}).is(422, "enum")
	refused := s.put("/integrations/crm", members{"version": 1}).is(422, "read_only")
	require.Equal(t, []string{"/version"}, refused.pointers())
	require.Equal(t, "read_only", refused.at("error_code"))
	require.Equal(t, "version is 3 now, and can't be set; read the integration again, or leave this out", refused.at("detail"))
}

func TestAnAlgorithmThatTheStoredKeyLacksIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"auth": members{
		"type": "oauth2_jwt_bearer", "token_url": "https://a.example/token", "assertion_issuer": "me", "assertion_algorithm": "ES256",
		"private_key_value": newPrivateKey(t, elliptic.P256()),
	}}))
	for _, dry := range []string{"", "?dry_run=true"} {
		refused := s.put("/integrations/crm"+dry, members{"auth": members{"assertion_algorithm": "RS256"}}).is(422, "private_key_invalid")
		require.Equal(t, []string{"/auth/assertion_algorithm"}, refused.pointers())
	}
	untried := s.post("/integrations/test-connection", members{"id": "crm", "auth": members{"assertion_algorithm": "RS256"}}).is(422, "private_key_invalid")
	require.Equal(t, []string{"/auth/assertion_algorithm"}, untried.pointers())
	s.put("/integrations/crm", members{"auth": members{"assertion_algorithm": "ES384", "private_key_value": newPrivateKey(t, elliptic.P384())}}).is(200)
}

func TestHEADIsGETWithoutABody(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	s.create(rest("crm", "https://a.example"))
	s.signed("integrations", 1)
	for _, path := range []string{
		"/transparency", "/transparency/integrations/checkpoint", "/transparency/integrations/checkpoint/proof", "/transparency/integrations/tile/0/000.p/1",
		"/v1/acme/transparency/integrations/export", "/v1/acme/integrations/events/1/proof", "/v1/acme/access-events",
		"/", "/docs", "/openapi.yaml", "/asyncapi.yaml", "/livez", "/readyz", "/metrics", "/v1/auth/me", "/v1/acme/integrations", "/v1/acme/integrations/crm",
		"/v1/acme/integrations/events", "/v1/acme/integrations/events/stream", "/v1/acme/integrations/calls", "/v1/acme/integrations/crm/calls", "/v1/acme/integrations/calls/stream", "/v1/acme/integrations/crm/usage", "/v1/acme/integrations/crm/health/stream",
		"/v1/acme/approvals", "/v1/acme/approvals/events", "/v1/acme/approvals/events/stream",
		"/v1/acme/integrations/health-check", "/v1/acme/integration-tools", "/jwks/none", "/v1/acme/api-keys",
	} {
		for _, accept := range []string{"*/*", "application/x-ndjson"} {
			get, head := s.plain("GET", path, accept), s.plain("HEAD", path, accept)
			require.Equal(t, get.StatusCode, head.StatusCode, path)
			require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"), path)
			require.Equal(t, get.Header.Get("ETag"), head.Header.Get("ETag"), path)
			body, err := io.ReadAll(head.Body)
			require.NoError(t, err)
			require.Empty(t, body)
		}
	}
	require.Equal(t, 404, s.plain("HEAD", "/v1/acme/integrations/none", "*/*").StatusCode)
}

// plain sends a request without a body, and closes its answer with the test.
func (s *service) plain(method, path, accept string) rawAnswer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "gzip;q=1, identity;q=0.5")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return rawAnswer{resp.StatusCode, resp.Header, resp.Body}
}

// rawAnswer is an answer whose body is closed at the end of the test.
type rawAnswer struct {
	StatusCode int
	Header     http.Header
	Body       io.Reader
}

func TestAnotherMethodOfAPathIsAnsweredWithAllow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/v1/acme/integrations/events", "GET, HEAD"},
		{"PUT", "/v1/acme/integrations/events", "GET, HEAD"},
		{"DELETE", "/v1/acme/integrations/health-check", "GET, HEAD"},
		{"DELETE", "/v1/acme/integrations/calls", "GET, HEAD"},
		{"POST", "/jwks/none", "GET, HEAD"},
		{"OPTIONS", "/v1/acme/integrations/events", "GET, HEAD"},
		{"POST", "/v1/auth/me", "GET, HEAD"},
		{"DELETE", "/livez", "GET, HEAD"},
		{"DELETE", "/v1/acme/mcp", "GET, HEAD, POST"},
		{"GET", "/v1/acme/integration-tools/resolve", "POST"},
	} {
		got := s.plain(c.method, c.path, "*/*")
		require.Equal(t, 405, got.StatusCode, c)
		require.Equal(t, c.allow, got.Header.Get("Allow"), c)
		require.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
	}
	allow := strings.Split(s.plain("PATCH", "/v1/acme/integrations/crm", "*/*").Header.Get("Allow"), ", ")
	require.ElementsMatch(t, []string{"GET", "HEAD", "PUT", "DELETE"}, allow)
}

func TestTheWeightsOfAcceptAreObeyed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for accept, media := range map[string]string{
		"application/x-ndjson": "application/x-ndjson", "application/x-ndjson;q=0.1": "application/x-ndjson",
		"application/x-ndjson;q=0": "application/json; charset=utf-8", "application/x-ndjson; q=0.000, */*": "application/json; charset=utf-8",
	} {
		require.Equal(t, media, s.plain("GET", "/v1/acme/integrations/events", accept).Header.Get("Content-Type"), accept)
	}
}

func TestLongAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list"), endpoint("find"), endpoint("a"), endpoint("b")}}))
	list := s.plain("GET", "/v1/acme/integrations", "*/*")
	require.Equal(t, "gzip", list.Header.Get("Content-Encoding"))
	require.Contains(t, list.Header.Get("Vary"), "Accept-Encoding")
	unzipped, err := gzip.NewReader(list.Body)
	require.NoError(t, err)
	var page struct{ Total int }
	require.NoError(t, json.NewDecoder(unzipped).Decode(&page))
	require.Equal(t, 4, page.Total)
	for _, path := range []string{"/v1/acme/integrations/crm", "/v1/acme/integrations/events/stream", "/livez"} { // a strong ETag, a stream, and a short one
		got := s.plain("GET", path, "*/*")
		require.Empty(t, got.Header.Get("Content-Encoding"), path)
		require.Empty(t, got.Header.Get("No-Gzip-Compression"), path)
	}
	s.create(rest("signed", "https://ehr.example", generated("RS384")))
	for range 3 {
		s.post("/integrations/signed/signing-keys/rotate", members{"publish_seconds": 0, "overlap_seconds": 600}).is(200)
	}
	path, _ := s.get("/integrations/signed/signing-keys").is(200).at("key_set_path").(string)
	set := s.plain("GET", path, "*/*") // long, and with a strong ETag
	text, err := io.ReadAll(set.Body)
	require.NoError(t, err)
	require.Greater(t, len(text), 1024)
	require.NotEmpty(t, set.Header.Get("ETag"))
	require.Empty(t, set.Header.Get("Content-Encoding"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/acme/integrations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Accept-Encoding", "gzip;q=0")
	refused, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, refused.Body.Close())
	require.Empty(t, refused.Header.Get("Content-Encoding"))
}

func TestIfMatchOnACreateNeedsTheIntegration(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, tag := range []string{`"v1"`, "*"} {
		s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"If-Match": tag}}).is(412, "version_mismatch")
	}
	require.Zero(t, s.head())
	s.create(rest("crm", "https://a.example"))
	s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"If-Match": "*"}}).is(409, "name_taken")
}

func TestAWholeNumberMayHaveAFraction(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.send(request{method: "POST", path: "/integrations", body: `{"name": "crm", "display_name": "CRM", "base_url": "https://a.example",
		"endpoints": [{"name": "e", "description": "d", "path": "/", "timeout_ms": 1e3, "max_result_length": 10.0}]}`}).is(201)
	s.send(request{method: "POST", path: "/integrations/crm/restore", body: `{"version": 1.0}`}).is(200)
	s.send(request{method: "POST", path: "/integrations/crm/restore", body: `{"version": 1.5}`, wrong: true}).is(422, "range")
}

func TestTheNamesOfAmigosClientAreAccepted(t *testing.T) {
	t.Parallel()
	s := serve(t)
	key := s.post("/api-keys", members{"name": "k", "permissions": []string{"Integration.view"}, "duration_days": 30}).is(201)
	expires, err := time.Parse(time.RFC3339, key.at("expires_at").(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().AddDate(0, 0, 30), expires, time.Minute)
	for _, wrong := range []any{0, 1.5, "30", 3651} {
		s.send(request{method: "POST", path: "/api-keys", body: members{"name": "k", "permissions": []string{"Integration.view"}, "duration_days": wrong}, wrong: true}).is(422, "range")
	}
	s.post("/api-keys", members{"name": "k", "permissions": []string{"Integration.view"}, "duration_days": 1, "expires_at": "2099-01-01T00:00:00Z"}).is(422, "not_allowed")

	me := s.send(request{method: "GET", path: "/v1/auth/me", key: key.at("key").(string)}).is(200)
	require.Equal(t, key.at("id"), me.at("id"))
	require.Equal(t, "acme", me.at("workspace_id"))
	require.Equal(t, []any{"Integration.view"}, me.at("permissions"))
	require.Nil(t, s.send(request{method: "GET", path: "/v1/auth/me", key: s.issue("", access.View)}).is(200).at("workspace_id"))
	s.send(request{method: "GET", path: "/v1/auth/me", key: "none", wrong: true}).is(401)
	s.send(request{method: "GET", path: "/v1/auth/integrations", key: s.issue("auth", access.View)}).is(200) // a workspace may be called auth

	hook := s.post(hooks, members{"url": "https://a.example/h", "name": "CRM", "accepted_event_types": []string{"integration.created"}, "retry_attempts": 3}).is(201)
	require.Equal(t, []any{"integration.created"}, hook.at("event_types"))
	path := hooks + "/" + hook.at("id").(string)
	read := s.get(path).is(200)
	require.Equal(t, "CRM", read.at("name"))
	require.InDelta(t, 3, read.at("retry_attempts"), 0)
	doc := read.at().(members)
	s.put(path, doc).is(200)
	doc = s.get(path).at().(members)
	doc["accepted_event_types"] = []string{"integration.deleted"}
	require.Equal(t, []any{"integration.deleted"}, s.put(path, doc).is(200).at("event_types"))
	s.put(path, members{"accepted_event_types": []string{"*"}, "event_types": []string{"integration.updated"}}).is(422, "not_allowed")
	s.put(path, members{"created_at": "2020-01-01T00:00:00Z"}).is(422, "read_only")
}

// listenAsDeployed serves the API as the service does, with shorter limits, and returns its address.
func (s *service) listenAsDeployed() string {
	s.t.Helper()
	l, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	api := *s.api
	api.Metrics = prometheus.NewRegistry()
	srv := &http.Server{Handler: api.Handler(), ReadTimeout: time.Second, MaxHeaderBytes: 4 << 10}
	go func() { _ = srv.Serve(transport.ProblemListener(l, func() string { return "id-1" })) }()
	s.t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// exchangeRaw sends raw bytes, and returns the first response.
func exchangeRaw(t *testing.T, address, text string) (rawAnswer, string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return rawAnswer{StatusCode: resp.StatusCode, Header: resp.Header}, string(body)
}

func TestTheMCPServerHasTheVersionOfTheProduct(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) { set.adjust = func(api *transport.Server) { api.Version = "v1.2.3" } })
	got := s.send(request{method: "POST", path: "/v1/acme/mcp", header: map[string]string{"Accept": "application/json, text/event-stream"}, body: members{
		"jsonrpc": "2.0", "id": 1, "method": "initialize",
		"params": members{"protocolVersion": "2025-06-18", "capabilities": members{}, "clientInfo": members{"name": "c", "version": "0"}},
	}}).is(200)
	require.Contains(t, got.text, `"version":"v1.2.3"`)
}

func TestEveryRefusalIsAProblemDocument(t *testing.T) {
	t.Parallel()
	s := serve(t)
	address := s.listenAsDeployed()
	authorized := "Host: a\nAuthorization: Bearer " + s.key + "\n"
	for _, c := range []struct {
		text   string
		status int
		code   string
	}{
		{"nonsense\n\n", 400, "request_malformed"},
		{"GET / HTTP/1.1\n\n", 400, "request_malformed"},
		{"GET / HTTP/3.7\n\n", 505, "http_version_unsupported"},
		{"GET / HTTP/1.1\nHost: a\nX: " + strings.Repeat("a", 16<<10) + "\n\n", 431, "headers_too_large"},
		{"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n", 501, "transfer_encoding_unsupported"},
		{"GET /livez HTTP/1.1\nHost: a\nExpect: tea\n\n", 417, "expectation_unsupported"},
		{"POST /v1/acme/integrations HTTP/1.1\n" + authorized + "Content-Type: application/json\nContent-Length: 9\n\n{", 408, "body_too_slow"},
		{"POST /v1/acme/integrations HTTP/1.1\n" + authorized + "Content-Type: application/json\nExpect: 100-continue\nContent-Length: 2000000\n\n", 413, "body_too_large"},
		{"POST /v1/acme/mcp HTTP/1.1\n" + authorized + "Expect: 100-continue\nContent-Length: 2000000\n\n", 413, "body_too_large"},
		{"POST /v1/acme/mcp HTTP/1.1\n" + authorized + "Accept: application/json, text/event-stream\nContent-Type: application/json\nContent-Length: 2\n\n{}", 400, "mcp_request_invalid"},
		{"POST /v1/acme/mcp HTTP/1.1\n" + authorized + "Accept: text/html\nContent-Type: text/plain\nContent-Length: 2\n\n{}", 415, "mcp_request_invalid"},
	} {
		resp, body := exchangeRaw(t, address, c.text)
		name := fmt.Sprintf("%.60q: %s", c.text, body)
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"), name)
		require.Equal(t, c.status, resp.StatusCode, name)
		var p struct {
			Code      string `json:"code"`
			ErrorCode string `json:"error_code"`
			RequestID string `json:"request_id"`
			Detail    string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &p), name)
		require.Equal(t, c.code, p.Code, name)
		require.Equal(t, c.code, p.ErrorCode, name)
		require.NotEmpty(t, p.Detail)
		require.Equal(t, resp.Header.Get("X-Request-Id"), p.RequestID)
	}
	resp, body := exchangeRaw(t, address, "GET /livez HTTP/1.1\nHost: a\n\n")
	require.Equal(t, 200, resp.StatusCode, body)
}
