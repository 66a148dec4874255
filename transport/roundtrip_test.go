package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
)

// keyMaterial is what stands for the placeholders of docs/signing-in.md: keys, and the
// certificate of the first.
type keyMaterial map[string]string

func newKeyMaterial(t *testing.T) keyMaterial {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)
	require.NoError(t, err)
	encode := func(kind string, der []byte, err error) string {
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	rsaDER, rsaErr := x509.MarshalPKCS8PrivateKey(rsaKey)
	ecDER, ecErr := x509.MarshalPKCS8PrivateKey(ecKey)
	return keyMaterial{
		"<RSA KEY>": encode("PRIVATE KEY", rsaDER, rsaErr), "<P-256 KEY>": encode("PRIVATE KEY", ecDER, ecErr),
		"<CERTIFICATE>": encode("CERTIFICATE", certificate, nil),
	}
}

// filled returns a document with the placeholders replaced.
func (k keyMaterial) filled(t *testing.T, text string) members {
	t.Helper()
	var doc members
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&doc), text)
	auth, _ := doc["auth"].(members)
	for name, value := range auth {
		if text, ok := value.(string); ok && k[text] != "" {
			auth[name] = k[text]
		}
	}
	return doc
}

// everyType has, for each type of auth, integrations that use as many of its members as go
// together.
var everyType = map[string][]string{
	"api_key_header": {
		`{"header_name": "X-Key", "header_format": "Token {secret}", "api_key_value": "k", "client_certificate": "<CERTIFICATE>", "client_key_value": "<RSA KEY>"}`,
		`{"query_name": "key", "api_key_value": "k"}`,
	},
	"bearer_token": {`{"bearer_token_value": "t"}`},
	"basic": {
		`{"username": "u", "password_value": "p"}`, `{"username_value": "u", "password_value": "p"}`, `{"username_value": "u"}`, `{"password_value": "p"}`,
	},
	"oauth2_client_credentials": {
		`{"client_id": "c", "client_secret_value": "s", "token_url": "https://a.example/t", "scopes": ["a", "b"], "client_auth_method": "body", "dpop": true,
			"token_request": "json", "token_answer": "json", "token_params": {"audience": "x", "password": {"value": "p"}}, "token_headers": {"X-A": "1", "X-B": {"value": "2"}}}`,
		`{"client_id": "c", "token_url": "https://a.example/t", "client_auth_method": "private_key_jwt", "assertion_algorithm": "PS256", "assertion_kid": "k",
			"assertion_audience": "a", "assertion_lifetime_seconds": 60, "assertion_claims": {"b": 1, "a": [1.50, {"z": null, "y": 1e3}]},
			"private_key_value": "<RSA KEY>", "token_in": {"header": "X-Token", "format": "T {token}"}}`,
		`{"client_id": "c", "token_url": "https://a.example/t", "client_auth_method": "client_secret_jwt", "client_secret_value": "sssssssssssssssssssssssssssssssss", "token_in": {"query": "t"}}`,
		`{"client_id": "c", "token_url": "https://a.example/t", "client_auth_method": "private_key_jwt", "private_key_generate": "ES256"}`,
		`{"client_id": "c", "issuer": "https://a.example", "resource": "https://b.example", "client_secret_value": "s"}`,
		`{"client_id": "c", "token_url": "https://a.example/t", "client_auth_method": "tls", "client_certificate": "<CERTIFICATE>", "client_key_value": "<RSA KEY>"}`,
	},
	"smart_backend_services": {
		`{"client_id": "c", "private_key_value": "<RSA KEY>", "assertion_certificate": "<CERTIFICATE>"}`,
		`{"client_id": "c", "token_url": "https://a.example/t", "private_key_generate": "ES384"}`,
	},
	"oauth2_jwt_bearer": {
		`{"token_url": "https://a.example/t", "assertion_issuer": "i", "assertion_subject": "s", "assertion_scopes_in_jwt": true, "scopes": "a b",
			"token_lifetime_seconds": 100, "private_key_value": "<P-256 KEY>", "assertion_algorithm": "ES256"}`,
		`{"token_url": "https://a.example/t", "assertion_issuer": "i", "assertion_algorithm": "HS256", "secret_encoding": "hex",
			"shared_secret_value": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}`,
	},
	"json_token_exchange": {
		`{"client_id": "c", "token_url": "https://a.example/t", "client_secret_value": "s", "token_request_client_id_field": "id", "token_response_path": "data.token"}`,
	},
	"bearer_token_exchange": {
		`{"exchange_url": "https://a.example/t", "exchange_secret_value": "s", "exchange_secret_format": "K {secret}", "exchange_expires_in_field": "ttl",
			"exchange_param_headers": [{"header_name": "X-A", "param_name": "a", "required": true, "consume": true}, {"header_name": "X-B", "param_name": "b"}]}`,
		`{"exchange_url": "https://a.example/t", "assertion_algorithm": "RS256", "assertion_issuer": "i", "private_key_value": "<RSA KEY>"}`,
	},
	"signed_jwt": {
		`{"assertion_issuer": "i", "private_key_value": "<RSA KEY>", "token_in": {"header": "X-A"}}`,
		`{"assertion_algorithm": "EdDSA", "private_key_generate": "EdDSA"}`,
	},
	"aws_sigv4": {`{"access_key_id": "A", "region": "r", "service": "s", "secret_access_key_value": "x", "session_token_value": "y"}`},
	"oauth1":    {`{"consumer_key": "c", "consumer_secret_value": "s", "token": "t", "token_secret_value": "u", "realm": "r", "signature_method": "HMAC-SHA256"}`},
	"digest":    {`{"username": "u", "password_value": "p"}`},
	"hmac": {
		`{"shared_secret_value": "s", "signature": {"key_id": "k", "components": ["@method", "content-digest"], "label": "l", "tag": "t"}}`,
		`{"shared_secret_value": "czEyMw==", "secret_encoding": "base64", "signature": {"template": "{timestamp}{body}", "header": "X-S", "format": "v1={signature}", "encoding": "base64",
			"headers": {"X-T": "{timestamp}"}, "params": {"t": "{timestamp}"}}}`,
		`{"private_key_value": "<P-256 KEY>", "signature": {"algorithm": "ecdsa-p256-sha256"}}`,
	},
	"client_certificate": {`{"client_certificate": "<CERTIFICATE>", "client_key_value": "<RSA KEY>"}`},
	"oauth2_authorization_code": {
		`{"client_id": "c", "client_secret_value": "s", "client_auth_method": "basic", "authorization_url": "https://id.example/authorize", "token_url": "https://id.example/token",
			"revocation_url": "https://id.example/revoke", "scopes": ["read"], "resource": "none", "authorization_params": {"access_type": "offline"}, "token_response": {"access_token": "user.token", "ok": "ok"},
			"scope_on_refresh": true, "require_all_scopes": true, "token_default_seconds": 3600}`,
		`{"registration": "dynamic", "issuer": "https://id.example", "pkce": "assume"}`,
		`{"client_id": "c", "client_secret_value": "s", "authorization_url": "https://{account.shop}/authorize", "token_url": "https://{account.shop}/token", "redirect": "own",
			"offline_access": "omit", "callback_hmac": "hmac", "identity_call": {"url": "https://id.example/{token}", "ok": "ok", "account": "user"}, "capture": {
			"shop": {"from": "callback", "path": "shop", "hosts": ["*.shops.example"], "optional": false}, "site": {"from": "call", "path": "[*].id", "label": "name", "optional": true},
			"tenant": {"from": "start"}}}`,
	},
	"oauth2_token_exchange": {
		`{"client_id": "c", "client_secret_value": "s", "token_url": "https://id.example/token", "subject_token_value": "t", "subject_token_type": "jwt", "audience": "a",
			"actor_token_value": "u", "actor_token_type": "urn:x:y", "requested_token_type": "access_token", "resource": "https://b.example/x", "scopes": ["r"]}`,
		`{"client_id": "c", "client_auth_method": "none", "issuer": "https://id.example", "subject_token_value": "t", "requested_token_type": "id-jag",
			"resource_issuer": "https://as.example", "resource_client_id": "d", "resource_client_auth_method": "body", "resource_client_secret_value": "s"}`,
		`{"client_id": "c", "token_url": "https://id.example/token", "client_auth_method": "private_key_jwt", "private_key_value": "<P-256 KEY>", "subject_token_value": "t",
			"requested_token_type": "id-jag", "audience": "a", "resource_token_url": "https://as.example/token", "resource_client_id": "d", "resource_client_auth_method": "none"}`,
	},
}

// everyMember is an endpoint with every member that has no default.
var everyMember = members{
	"name": "find", "description": "Find.", "method": "POST", "path": "/things/{id}{?page,tags*}", "headers": members{"X-Trace": "{trace}"}, "title": "Find things",
	"annotations": members{"read_only": true, "destructive": nil, "open_world": false}, "base_url": "https://b.example", "result_key": "data", "result_template": "{{ id }}",
	"input_schema": members{"type": "object", "properties": members{
		"id": members{"type": "string"}, "page": members{"type": "integer"}, "tags": members{"type": "array"}, "trace": members{"type": "string"}, "file": members{"type": "string"}, "filter": members{"type": "object"},
	}, "required": []any{"id"}},
	"parameters":      members{"filter": members{"in": "query", "style": "deepObject", "explode": true, "name": "f", "allow_reserved": true}},
	"body":            members{"format": "base64", "media_type": "image/png", "property": "file"},
	"response_filter": []any{"data"}, "response_mapping": members{"id": "data.id"}, "max_result_length": 10, "result_delivery": "queue", "timeout_ms": 500,
	"retry_config": members{"max_retries": 0, "retry_on_status": []any{503}},
}

var documentedRow = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `(https://[^`]+)` \\| `(\\{.*\\})` \\|$")

func TestWhatAGETShowsCanBePutBack(t *testing.T) {
	t.Parallel()
	s := serve(t)
	keys := newKeyMaterial(t)
	var all []members // of integrations, without names
	text, err := os.ReadFile("../docs/signing-in.md")
	require.NoError(t, err)
	for _, row := range documentedRow.FindAllStringSubmatch(string(text), -1) {
		doc := keys.filled(t, row[3])
		doc["base_url"] = row[2]
		all = append(all, doc)
	}
	require.Greater(t, len(all), 100)
	names, types := authMembers(t)
	require.Equal(t, types, slices.Sorted(maps.Keys(everyType)), "the types of openapi.yaml")
	for kind, auths := range everyType {
		for _, auth := range auths {
			doc := keys.filled(t, `{"auth": `+auth+`}`)
			doc["auth"].(members)["type"] = kind
			doc["base_url"] = "https://b.example"
			own := endpoint("own")
			if kind != "oauth2_authorization_code" { // a person consents to all endpoints of an integration
				own["auth"] = maps.Clone(doc["auth"].(members))
			}
			doc["endpoints"] = []any{own, everyMember}
			doc["health_check"] = members{"path": "/", "expect_status": 204}
			doc["headers"] = members{"X-Version": "1", "X-Second-Key": members{"value": "2"}}
			all = append(all, doc)
		}
	}
	all = append(all, members{
		"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://m.example", "mcp_headers": members{"X-A": "1"}, "mcp_session": "kept",
		"endpoints": []any{members{"name": "t", "description": "T.", "path": "", "tool": "t/x", "title": "T", "annotations": members{"idempotent": true}, "output_schema": members{"type": "object"}}},
	})
	for n, doc := range all {
		doc["name"], doc["display_name"] = "i-"+string(rune('a'+n/26))+string(rune('a'+n%26)), "I"
		created := s.post("/integrations", doc)
		require.Equal(t, 201, created.status, "%v: %s", doc["base_url"], created.text)
		path := "/integrations/" + doc["name"].(string)
		shown := s.get(path).is(200)
		same := s.put(path, shown.at())
		require.Equal(t, 200, same.status, "%s: %s", shown.text, same.text)
		require.Equal(t, shown.text, same.text, "nothing has changed")
		padded, _ := shown.at().(members)
		auth, _ := padded["auth"].(members)
		pad(auth, names)
		signature, _ := auth["signature"].(members)
		pad(signature, []string{"template", "key_id", "components", "label", "tag", "encoding", "header", "format", "query", "headers", "params"})
		tokenIn, _ := auth["token_in"].(members)
		pad(tokenIn, []string{"header", "format", "query"})
		captures, _ := auth["capture"].(members)
		for _, one := range captures {
			pad(one.(members), []string{"path", "label", "hosts", "optional"})
		}
		identity, _ := auth["identity_call"].(members)
		pad(identity, []string{"ok", "account"})
		same = s.put(path, padded)
		require.Equal(t, 200, same.status, "%v: %s", padded, same.text)
		require.Equal(t, shown.text, same.text, "nothing has changed")
	}
}

// pad adds null for members that are absent, as a client does that has one class for all
// types.
func pad(object members, names []string) {
	for _, name := range names {
		if _, shows := object[name]; object != nil && !shows {
			object[name] = nil
		}
	}
}

// authMembers returns the members of GivenAuth in openapi.yaml and the types that it names.
func authMembers(t *testing.T) (names, types []string) {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &document))
	properties := document.Components.Schemas["GivenAuth"].Properties
	types = slices.DeleteFunc(properties["type"].Enum, func(s string) bool { return s == "" })
	slices.Sort(types)
	return slices.Sorted(maps.Keys(properties)), types
}

func TestAMemberOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	keys := newKeyMaterial(t)
	names, _ := authMembers(t)
	values := []any{"x", "RS256", "GET", "form", "text", "https://a.example", json.Number("100"), true, []any{"x"}, members{"x": "y"}, members{"value": "x"}}
	for kind, auths := range everyType {
		doc := keys.filled(t, `{"auth": `+auths[0]+`}`)
		auth, _ := doc["auth"].(members)
		auth["type"] = kind
		created, err := domain.Integration{}.Create("acme", rest("crm", "https://a.example", members{"auth": auth}), domain.Attempt{At: time.Now()}, connectors.Rules())
		require.NoError(t, err)
		i := domain.Evolve(domain.Integration{}, created.Event)
		data, err := json.Marshal(i.Auth)
		require.NoError(t, err)
		var present members
		require.NoError(t, json.Unmarshal(data, &present))
		for _, name := range names {
			for _, value := range values {
				changed, err := i.Update(members{"auth": members{name: value}}, domain.Attempt{At: time.Now()}, connectors.Rules())
				if err == nil && changed.Event == nil {
					require.Equal(t, fmt.Sprint(present[name]), fmt.Sprint(value), "%s of %s: accepted, and nothing is changed", name, kind)
				}
			}
		}
	}
}
