package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/authserver"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// site serves documents by their paths; {url} in them is its own URL.
type site struct {
	url  string
	docs map[string]string

	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T, docs map[string]string) *site {
	t.Helper()
	s := &site{docs: docs}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.URL.Path)
		doc, ok := s.docs[r.URL.Path]
		switch {
		case !ok && r.Method == http.MethodPost:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(strings.ReplaceAll(doc, "{url}", s.url)))
		}
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func find(t *testing.T, i domain.Integration) (domain.AuthorizationServer, error) {
	t.Helper()
	client, err := egress.New(egress.Config{AllowLoopback: true})
	require.NoError(t, err)
	server, steps, e := authserver.Find(t.Context(), client, i)
	if e != nil {
		require.NotEmpty(t, steps, "each step is shown")
		return server, e
	}
	return server, nil
}

func mcp(at string, auth domain.Auth) domain.Integration {
	auth.Type = domain.AuthorizationCode
	return domain.Integration{Configuration: domain.Configuration{Protocol: domain.MCP, MCPTransport: domain.HTTP, MCPURL: at, Auth: &auth}}
}

const metadata = `{"issuer": "{url}", "authorization_endpoint": "{url}/authorize", "token_endpoint": "{url}/token", "code_challenge_methods_supported": ["S256"],
	"registration_endpoint": "javascript:alert(1)", "revocation_endpoint": "{url}/revoke", "authorization_response_iss_parameter_supported": true}`

func TestTheResourceIsKeptByteForByteAndParentsOfItAreItself(t *testing.T) {
	for name, path := range map[string]string{"{url}/mcp/v1": "", "{url}/mcp/v1/": "", "{url}/mcp": "", "{url}": "", "{url}/": ""} {
		s := serve(t, map[string]string{
			"/.well-known/oauth-protected-resource" + path: `{"resource": "` + name + `", "authorization_servers": ["{url}"], "scopes_supported": ["a"]}`,
			"/.well-known/oauth-authorization-server":      metadata,
		})
		server, err := find(t, mcp(s.url+"/mcp/v1", domain.Auth{}))
		require.NoError(t, err)
		require.Equal(t, strings.ReplaceAll(name, "{url}", s.url), server.Resource)
		require.Equal(t, []string{"a"}, server.ResourceScopes)
		require.True(t, server.NamesIssuer)
		require.Empty(t, server.RegistrationEndpoint, "what is not https is not used")
		none, err := find(t, mcp(s.url+"/mcp/v1", domain.Auth{Consent: domain.Consent{Resource: domain.NoResource}}))
		require.NoError(t, err)
		require.Empty(t, none.Resource)
	}
}

func TestMetadataOfAnotherResourceIsRefused(t *testing.T) {
	for _, name := range []string{"https://evil.example.com/mcp", "{url}/mcp/v2", "{url}/mc", "{url}/mcp/v1/more"} {
		s := serve(t, map[string]string{
			"/.well-known/oauth-protected-resource":   `{"resource": "` + name + `", "authorization_servers": ["{url}"]}`,
			"/.well-known/oauth-authorization-server": metadata,
		})
		_, err := find(t, mcp(s.url+"/mcp/v1", domain.Auth{}))
		require.ErrorContains(t, err, "which is not the MCP server", name)
	}
}

func TestMetadataOfAnotherIssuerIsRefused(t *testing.T) {
	resource := `{"resource": "{url}/mcp", "authorization_servers": ["{url}/tenant"]}`
	for changed, with := range map[string]string{
		`"issuer": "{url}"`:                                `"issuer": "https://other.example.com"`,
		`"authorization_endpoint": "{url}/authorize"`:      `"authorization_endpoint": "javascript:alert(1)"`,
		`"token_endpoint": "{url}/token"`:                  `"token_endpoint": "http://token.example.com/token"`,
		`"code_challenge_methods_supported": ["S256"]`:     `"code_challenge_methods_supported": ["plain"]`,
		`"issuer": "{url}", "authorization_endpoint": "{u`: `"issuer": "{url}/tenant/", "authorization_endpoint": "{u`,
	} {
		good := strings.Replace(metadata, `"issuer": "{url}"`, `"issuer": "{url}/tenant"`, 1)
		wrong := strings.Replace(metadata, changed, with, 1)
		if !strings.Contains(with, "issuer") {
			wrong = strings.Replace(good, changed, with, 1)
		}
		s := serve(t, map[string]string{"/.well-known/oauth-protected-resource": resource, "/.well-known/oauth-authorization-server/tenant": wrong})
		_, err := find(t, mcp(s.url+"/mcp", domain.Auth{}))
		require.Error(t, err, with)
		s.docs["/tenant/.well-known/openid-configuration"] = good
		server, err := find(t, mcp(s.url+"/mcp", domain.Auth{}))
		require.NoError(t, err, "the next form is tried: %s", with)
		require.Equal(t, s.url+"/tenant", server.Issuer)
	}
}

func TestAnIssuerIsTrustedByNameOrButForASlash(t *testing.T) {
	s := serve(t, map[string]string{
		"/.well-known/oauth-protected-resource":   `{"resource": "{url}/mcp", "authorization_servers": ["{url}/"]}`,
		"/.well-known/oauth-authorization-server": metadata,
	})
	_, err := find(t, mcp(s.url+"/mcp", domain.Auth{}))
	require.NoError(t, err)
	other := serve(t, map[string]string{"/.well-known/oauth-authorization-server": strings.Replace(metadata, `"issuer": "{url}"`, `"issuer": "https://cf.mcp.example.com"`, 1)})
	s.docs["/.well-known/oauth-protected-resource"] = `{"resource": "{url}/mcp", "authorization_servers": ["` + other.url + `"]}`
	_, err = find(t, mcp(s.url+"/mcp", domain.Auth{}))
	require.ErrorContains(t, err, "https://cf.mcp.example.com", "both are shown")
	require.ErrorContains(t, err, other.url)
	pinned := domain.Auth{Consent: domain.Consent{Issuer: s.url}}
	server, err := find(t, mcp(s.url+"/mcp", pinned))
	require.NoError(t, err)
	require.Equal(t, s.url, server.Issuer, "the trusted one is asked, and no other")
}

func TestAClientThatCantBeUsedIsRefusedAtItsRegistration(t *testing.T) {
	client, err := egress.New(egress.Config{AllowLoopback: true})
	require.NoError(t, err)
	for answer, problem := range map[string]string{
		`{"client_id": "c", "client_secret": "s"}`:                                                  "",
		`{"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none"}`:            "",
		`{"client_id": "c", "client_secret": "s", "client_secret_expires_at": 0}`:                   "",
		`{"client_id": "c", "client_secret": "s", "client_secret_expires_at": 1}`:                   "has expired already",
		`{"client_id": "c", "token_endpoint_auth_method": "client_secret_basic"}`:                   "without a secret",
		`{"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "private_key_jwt"}`: "is not known here",
		`{}`: "without a client_id",
		`[]`: "not a JSON object",
	} {
		s := serve(t, map[string]string{"/register": answer})
		made, e := authserver.Register(t.Context(), client, domain.AuthorizationServer{RegistrationEndpoint: s.url + "/register"}, domain.ClientMetadata{RedirectURI: "http://127.0.0.1:1/x"}, time.Now())
		if problem == "" {
			require.Nil(t, e, answer)
			require.Equal(t, "c", made.ID)
			var named struct {
				Method string `json:"token_endpoint_auth_method"`
			}
			require.NoError(t, json.Unmarshal([]byte(answer), &named))
			require.Equal(t, named.Method == "none", made.AuthMethod == "none", "the answer names the method")
			continue
		}
		require.NotNil(t, e, answer)
		require.Contains(t, e.Sentence, problem)
	}
}
