package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// canary is a secret that must not appear in any response or log.
const canary = "c4n4ry/+&? \"s3cret\" ü 93b1"

// plainCanary is a canary of characters that are valid in a header.
const plainCanary = "c4n4ry-header-93b1f00d"

// hidden reports the first form of a secret that text contains.
func hidden(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range []string{
			secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
			strings.ToUpper(hex.EncodeToString([]byte(secret))), url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, `"`, `\"`),
			strings.Trim(base64.StdEncoding.EncodeToString([]byte(":"+secret)), "="),
		} {
			if strings.Contains(text, form) {
				t.Errorf("%s: the secret shows as %s in %s", where, form, text)
				return
			}
		}
	}
}

func privateKey(t *testing.T) (text, inside string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return text, strings.Split(text, "\n")[1]
}

func TestNoAnswerAndNoLogEverShowsASecret(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) { // echoes everything it gets
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Echo", r.Header.Get("Authorization")+r.Header.Get("X-API-Key"))
		_, _ = w.Write([]byte(`{"path":"` + r.URL.RequestURI() + `","auth":"` + r.Header.Get("Authorization") + `","key":"` + r.Header.Get("X-Api-Key") + `"}`))
	})
	s := serve(t)
	pemKey, inside := privateKey(t)
	secrets := []string{canary, plainCanary, inside}
	ask := func(r request) reply {
		got := s.send(r)
		hidden(t, r.method+" "+r.path, got.text, secrets...)
		for name, values := range got.header {
			hidden(t, r.method+" "+r.path+" "+name, strings.Join(values, " "), secrets...)
		}
		return got
	}
	token := u.url + "/token"
	for name, auth := range map[string]members{
		"header":  {"type": "api_key_header", "api_key_value": plainCanary},
		"query":   {"type": "api_key_header", "query_name": "key", "api_key_value": plainCanary},
		"bearer":  {"bearer_token_value": members{"value": plainCanary}},
		"basic":   {"type": "basic", "username": "ann", "password_value": canary},
		"client":  {"client_id": "c", "token_url": token, "client_secret_value": canary},
		"body":    {"type": "oauth2_client_credentials", "client_auth_method": "body", "client_id": "c", "token_url": token, "client_secret_value": canary},
		"smart":   {"client_id": "c", "token_url": token, "assertion_algorithm": "ES384", "private_key_value": pemKey},
		"jwt":     {"type": "oauth2_jwt_bearer", "token_url": token, "assertion_issuer": "me", "assertion_algorithm": "ES384", "private_key_value": pemKey, "scopes": "a b"},
		"json":    {"type": "json_token_exchange", "client_id": "c", "token_url": token, "client_secret_value": canary},
		"swap":    {"type": "oauth2_token_exchange", "client_id": "c", "token_url": token, "client_secret_value": canary, "subject_token_value": plainCanary, "actor_token_value": canary},
		"bearerx": {"type": "bearer_token_exchange", "exchange_url": token, "exchange_secret_value": plainCanary, "exchange_param_headers": []any{members{"header_name": "X-A", "param_name": "a", "consume": true}}},
	} {
		doc := rest(name, u.url, members{"auth": auth, "endpoints": []any{endpoint("own"), endpoint("other", members{"auth": auth})}})
		ask(request{method: "POST", path: "/integrations?dry_run=true", body: doc}).is(200)
		ask(request{method: "POST", path: "/integrations", body: doc, header: map[string]string{"Idempotency-Key": name}}).is(201)
		ask(request{method: "POST", path: "/integrations", body: doc, header: map[string]string{"Idempotency-Key": name}}).is(201)
		ask(request{method: "POST", path: "/integrations", body: doc}).is(409)
		ask(request{method: "GET", path: "/integrations/" + name}).is(200)
		for _, e := range []string{"own", "other"} {
			ask(request{method: "POST", path: "/integrations/" + name + "/endpoints/" + e + "/test", body: members{"params": members{"q": "x"}}}).is(200)
			ask(request{method: "POST", path: "/integrations/" + name + "/endpoints/" + e + "/test", body: members{"dry_run": true}}).is(200)
		}
		ask(request{method: "POST", path: "/integrations/" + name + "/test-connection"}).is(200)
		ask(request{method: "POST", path: "/integrations/test-connection", body: members{"base_url": u.url, "auth": auth}}).is(200)
		ask(request{method: "PUT", path: "/integrations/" + name + "?dry_run=true", body: members{"auth": auth}}).is(200)
		ask(request{method: "PUT", path: "/integrations/" + name, body: members{"auth": auth}}).is(200)
		for field := range auth {
			if strings.HasSuffix(field, "_value") { // wrong in other ways
				ask(request{method: "PUT", path: "/integrations/" + name, wrong: true, body: members{"auth": members{field: canary + "\x00", "colour": plainCanary}}}).is(422)
				ask(request{method: "PUT", path: "/integrations/" + name, wrong: true, body: members{"auth": members{field: []string{canary, plainCanary}}}}).is(422)
				ask(request{method: "PUT", path: "/integrations/" + name, wrong: true, body: members{"auth": members{field: members{"value": canary, "x": plainCanary}}}}).is(422)
			}
		}
		ask(request{method: "GET", path: "/integrations/" + name + "/history"}).is(200)
	}
	headers := members{"X-Key": plainCanary, "Authorization": members{"value": plainCanary}}
	ask(request{method: "POST", path: "/integrations", body: members{
		"name": "mcp", "display_name": "M", "protocol": "mcp", "mcp_transport": "http", "mcp_url": u.url, "mcp_headers": headers,
		"endpoints": []any{endpoint("tool")},
	}}).is(201)
	shown := ask(request{method: "GET", path: "/integrations/mcp"}).is(200)
	require.Equal(t, members{"x-key": nil, "authorization": nil}, shown.at("mcp_headers"))
	ask(request{method: "PUT", path: "/integrations/mcp", body: members{"mcp_headers": members{"x-key": nil, "x-new": plainCanary}}}).is(200)
	ask(request{method: "POST", path: "/integrations/mcp/endpoints/tool/test"}).is(200)
	ask(request{method: "POST", path: "/integrations/mcp/test-connection"}).is(200)
	ask(request{method: "GET", path: "/integrations/mcp/history"}).is(200)
	ask(request{method: "GET", path: "/integrations?limit=200"}).is(200)
	ask(request{method: "GET", path: "/integrations/health-check?max_age_ms=0"}).is(200)
	ask(request{method: "GET", path: "/metrics"}).is(200)
	ask(request{method: "POST", path: "/integrations", wrong: true, body: `{"name":"x1","auth":{"bearer_token_value":"` + plainCanary + `"`}).is(422)
	ask(request{method: "POST", path: "/integrations", wrong: true, body: `{"name":"x1","auth":{"bearer_token_value":"a","bearer_token_value":"` + plainCanary + `"}}`}).is(422)
	ask(request{method: "DELETE", path: "/integrations/basic"}).is(204)
	ask(request{method: "GET", path: "/integrations/basic/history"}).is(200)
	require.NotEmpty(t, s.log.String())
	hidden(t, "the log", s.log.String(), append(secrets, s.key)...)
}

func TestAChangeOfAnotherFieldKeepsTheSecret(t *testing.T) {
	t.Parallel()
	u := listen(t, nil)
	elsewhere := listen(t, nil)
	s := serve(t)
	s.create(rest("crm", u.url, members{"auth": members{"bearer_token_value": plainCanary}, "endpoints": []any{endpoint("list")}}))
	called := func(want string) {
		t.Helper()
		require.Nil(t, s.post("/integrations/crm/endpoints/list/test", nil).is(200).at("error"))
		require.Equal(t, want, u.last(t).Header.Get("Authorization"))
	}
	called("Bearer " + plainCanary)
	for _, change := range []members{
		{"display_name": "Other"},
		{"auth": members{"type": "bearer_token"}},
		{"auth": members{}, "enabled": false},
		{"auth": members{"bearer_token_value": nil}},
		{"base_url": u.url + "/v2"},
		{"endpoints": []any{endpoint("list", members{"timeout_ms": 1000})}},
	} {
		s.put("/integrations/crm", change).is(200)
		called("Bearer " + plainCanary)
	}
	refused := s.put("/integrations/crm", members{"base_url": elsewhere.url}).is(422, "secret_required")
	require.Equal(t, []string{"/auth/bearer_token_value"}, refused.pointers())
	s.put("/integrations/crm", members{"endpoints": []any{endpoint("list", members{"base_url": elsewhere.url})}}).is(422, "secret_required")
	s.put("/integrations/crm", members{"auth": members{"bearer_token_value": "other"}}).is(200)
	called("Bearer other")
	s.put("/integrations/crm", members{"auth": nil}).is(200)
	called("")
	s.put("/integrations/crm", members{"base_url": elsewhere.url}).is(200)
	require.Empty(t, elsewhere.requests())
	s.delete("/integrations/crm").is(204)
	s.post("/integrations/crm/endpoints/list/test", nil).is(404, "integration_not_found")
}
