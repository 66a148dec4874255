package domain_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

var (
	noon  = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Hour)
)

// rules stand in for compilers: what contains "broken" doesn't compile.
// One program may be started, called files.
var rules = domain.Rules{
	Expression: compile, Template: compile, Schema: func(b []byte) error { return compile(string(b)) },
	Stdio: map[string][]domain.Slot{"files": {
		{Name: "root", Pattern: regexp.MustCompile(`\A(?:/srv/[a-z]+)\z`)}, {Name: "mode", Pattern: regexp.MustCompile(`\A(?:(?s:.*))\z`)},
	}},
}

func compile(s string) error {
	if strings.Contains(s, "broken") {
		return errors.New("it is broken")
	}
	return nil
}

// doc reads a document as a request carries it.
func doc(t testing.TB, text string) domain.Document {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var document domain.Document
	require.NoError(t, d.Decode(&document), text)
	return document
}

// merge returns the text of a document with the members of another over it.
func merge(t testing.TB, text, over string) domain.Document {
	t.Helper()
	document := doc(t, text)
	for name, value := range doc(t, over) {
		document[name] = value
	}
	return document
}

const (
	plain     = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com/v2"}`
	keyed     = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com/v2", "auth": {"type": "api_key_header", "api_key_value": "k1"}}`
	withToken = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"client_id": "c", "client_secret_value": "s", "token_url": "https://id.example.com/token"}}`
	calling   = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"type": "bearer_token", "bearer_token_value": "t1"},
		"endpoints": [{"name": "list", "description": "List.", "path": "/items", "method": "GET", "auth": {"type": "basic", "username": "u", "password_value": "p1"}}]}`
	exchanging = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"type": "bearer_token_exchange", "exchange_secret_value": "s",
		"exchange_url": "https://id.example.com/token", "exchange_expires_in_field": "ttl"}}`
	inJSON = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"type": "json_token_exchange", "client_id": "c", "client_secret_value": "s", "token_url": "https://id.example.com/token"}}`
	tooled = `{"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp", "mcp_headers": {"X-Token": "h1"}}`
)

var (
	smart     = strings.Replace(withToken, `"client_secret_value": "s"`, `"type": "smart_backend_services", "private_key_value": `+strconv.Quote(rsaKey), 1)
	asserting = strings.Replace(withToken, `"client_id": "c", "client_secret_value": "s"`,
		`"type": "oauth2_jwt_bearer", "assertion_issuer": "c", "assertion_subject": "amy@example.com", "private_key_value": `+strconv.Quote(rsaKey), 1)
)

// created is the state after a creation.
func created(t testing.TB, text string) domain.Integration {
	t.Helper()
	d, err := domain.Integration{}.Create("acme", doc(t, text), domain.Attempt{At: noon, ID: "a1"}, rules)
	require.NoError(t, err)
	return domain.Evolve(domain.Integration{}, d.Event)
}

func TestCreate(t *testing.T) {
	deleted := domain.Evolve(created(t, plain), domain.IntegrationDeleted{ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm", Version: 4, At: noon})
	for _, tt := range []struct {
		name  string
		given domain.Integration
		when  string
		then  func(*testing.T, domain.Decision)
		code  string
	}{
		{
			name: "an integration begins with defaults", when: plain,
			then: func(t *testing.T, d domain.Decision) {
				i := d.Event.(domain.IntegrationCreated).Integration
				require.Equal(t, domain.Integration{
					ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm", Version: 1, Incarnation: 1, CreatedAt: later, UpdatedAt: later,
					Configuration: domain.Configuration{
						DisplayName: "CRM", Protocol: domain.REST, BaseURL: "https://crm.example.com/v2", Enabled: true, Endpoints: []domain.Endpoint{},
					},
				}, i)
			},
		},
		{name: "a name is taken once", given: created(t, plain), when: plain, code: "name_taken"},
		{
			name: "a deleted integration continues its version count", given: deleted, when: plain,
			then: func(t *testing.T, d domain.Decision) {
				i := d.Event.(domain.IntegrationCreated).Integration
				require.Equal(t, uint64(5), i.Version)
				require.Equal(t, uint64(5), i.Incarnation)
			},
		},
		{
			name: "a secret is named in the event and sealed beside it", when: keyed,
			then: func(t *testing.T, d domain.Decision) {
				require.Len(t, d.Seal, 1)
				require.Equal(t, "k1", d.Seal[0].Secret.Reveal())
				require.Equal(t, d.Seal[0].Ref, d.Event.(domain.IntegrationCreated).Integration.Auth.Secret())
				require.Equal(t, []string{"https://crm.example.com:443 header x-api-key"}, d.Seal[0].Ref.Destinations)
			},
		},
		{
			name: "a secret may be wrapped", when: `{"name": "crm", "display_name": "CRM", "base_url": "http://a", "auth": {"type": "bearer_token", "bearer_token_value": {"value": "t"}}}`,
			then: func(t *testing.T, d domain.Decision) { require.Equal(t, "t", d.Seal[0].Secret.Reveal()) },
		},
		{
			name: "null counts as absent where a field isn't nullable", when: `{"name": "crm", "display_name": "CRM", "base_url": "http://a", "protocol": null, "enabled": null, "endpoints": null}`,
			then: func(t *testing.T, d domain.Decision) {
				require.True(t, d.Event.(domain.IntegrationCreated).Integration.Enabled)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := tt.given.Create("acme", doc(t, tt.when), domain.Attempt{At: later, ID: "a2"}, rules)
			if tt.code != "" {
				require.Equal(t, tt.code, codeOf(err))
				require.Empty(t, d, "a refusal decides nothing")
				return
			}
			require.NoError(t, err)
			tt.then(t, d)
		})
	}
}

func codeOf(err error) string {
	refusal, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return ""
	}
	return refusal.Code
}

func TestALoneSecretImpliesItsType(t *testing.T) {
	for field, want := range map[string]domain.AuthType{
		`"api_key_value": "k"`:      domain.APIKeyHeader,
		`"bearer_token_value": "t"`: domain.BearerToken,
		`"client_secret_value": "s", "client_id": "c", "token_url": "https://id.example.com/token"`: domain.ClientCredentials,
		`"private_key_value": ` + quote(rsaKey) + `, "client_id": "c"`:                              domain.SMARTBackendServices,
	} {
		d, err := domain.Integration{}.Create("acme", merge(t, plain, `{"auth": {`+field+`}}`), domain.Attempt{At: noon, ID: "a"}, rules)
		require.NoError(t, err, field)
		require.Equal(t, want, d.Event.(domain.IntegrationCreated).Integration.Auth.Type)
	}
}

func TestUpdate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		given   string
		when    string
		changed []string
		seals   int
		code    string
		then    func(*testing.T, domain.Integration)
	}{
		{name: "one field changes and the rest stays", given: keyed, when: `{"enabled": false}`, changed: []string{"/enabled"}},
		{name: "an update to equal values changes nothing", given: keyed, when: `{"enabled": true, "display_name": "CRM"}`},
		{name: "an empty update changes nothing", given: keyed, when: `{}`},
		{name: "an absent secret is not an empty one", given: keyed, when: `{"auth": {"header_name": "X-API-Key"}}`},
		{
			name: "a new secret increments the version", given: keyed, when: `{"auth": {"api_key_value": "k2"}}`, changed: []string{"/auth/secrets/api_key_value"}, seals: 1,
			then: func(t *testing.T, i domain.Integration) { require.Equal(t, uint64(2), i.Auth.Secret().Version) },
		},
		{name: "null clears auth", given: keyed, when: `{"auth": null}`, changed: []string{"/auth"}},
		{name: "another path on the same host keeps the secret", given: keyed, when: `{"base_url": "https://CRM.example.com:443/v3"}`, changed: []string{"/base_url"}},
		{name: "another host needs the secret again", given: keyed, when: `{"base_url": "https://evil.example.com/v2"}`, code: "secret_required"},
		{name: "another scheme needs it again", given: keyed, when: `{"base_url": "http://crm.example.com/v2"}`, code: "secret_required"},
		{name: "another port needs it again", given: keyed, when: `{"base_url": "https://crm.example.com:8443/v2"}`, code: "secret_required"},
		{name: "another header needs it again", given: keyed, when: `{"auth": {"header_name": "X-Other"}}`, code: "secret_required"},
		{name: "the query instead of a header needs it again", given: keyed, when: `{"auth": {"query_name": "key"}}`, code: "secret_required"},
		{
			name: "an endpoint elsewhere that uses it needs it again", given: keyed, code: "secret_required",
			when: `{"endpoints": [{"name": "e", "description": "d", "path": "/", "base_url": "https://evil.example.com"}]}`,
		},
		{
			name: "an endpoint elsewhere with its own secret doesn't", given: keyed, changed: []string{"/endpoints"}, seals: 1,
			when: `{"endpoints": [{"name": "e", "description": "d", "path": "/", "base_url": "https://b.example.com", "auth": {"bearer_token_value": "b"}}]}`,
		},
		{name: "another host with the secret is fine", given: keyed, when: `{"base_url": "https://b.example.com", "auth": {"api_key_value": "k1"}}`, changed: []string{"/auth/secrets/api_key_value", "/base_url"}, seals: 1},
		{name: "another path of the token endpoint keeps the secret", given: withToken, when: `{"auth": {"token_url": "https://id.example.com/v2/token"}}`, changed: []string{"/auth/token_url"}},
		{name: "another token endpoint needs the secret again", given: withToken, when: `{"auth": {"token_url": "https://evil.example.com/token"}}`, code: "secret_required"},
		{name: "the receiver of the token doesn't get the secret", given: withToken, when: `{"auth": {"token_url": "https://crm.example.com/token"}}`, code: "secret_required"},
		{name: "the receiver of the secret doesn't get the token", given: withToken, when: `{"base_url": "https://id.example.com"}`, code: "secret_required"},
		{name: "another path of the token needs it again", given: exchanging, when: `{"auth": {"exchange_token_field": "data.other"}}`, code: "secret_required"},
		{name: "another path of the lifetime needs it again", given: exchanging, when: `{"auth": {"exchange_expires_in_field": "data.token"}}`, code: "secret_required"},
		{name: "removing the path of the lifetime needs it again", given: exchanging, when: `{"auth": {"exchange_expires_in_field": null}}`, code: "secret_required"},
		{name: "another default lifetime doesn't", given: exchanging, when: `{"auth": {"exchange_default_ttl_seconds": 300}}`, changed: []string{"/auth/exchange_default_ttl_seconds"}},
		{name: "another path in the response needs it again", given: inJSON, when: `{"auth": {"token_response_path": "refresh_token"}}`, code: "secret_required"},
		{name: "another client needs the private key again", given: smart, when: `{"auth": {"client_id": "other"}}`, code: "secret_required"},
		{name: "other scopes don't", given: smart, when: `{"auth": {"scopes": ["system/*.rs"]}}`, changed: []string{"/auth/scopes"}},
		{name: "another issuer needs the private key again", given: asserting, when: `{"auth": {"assertion_issuer": "other"}}`, code: "secret_required"},
		{name: "another subject needs the private key again", given: asserting, when: `{"auth": {"assertion_subject": "ceo@example.com"}}`, code: "secret_required"},
		{name: "no subject needs the private key again", given: asserting, when: `{"auth": {"assertion_subject": null}}`, code: "secret_required"},
		{name: "another place in the request needs it again", given: withToken, when: `{"auth": {"client_auth_method": "body"}}`, code: "secret_required"},
		{name: "another type needs its own secret", given: keyed, when: `{"auth": {"type": "bearer_token"}}`, code: "required"},
		{name: "the name never changes", given: keyed, when: `{"name": "other"}`, code: "immutable"},
		{name: "the same name changes nothing", given: keyed, when: `{"name": "crm"}`},
		{
			name: "an endpoint keeps its secret by its name", given: calling, changed: []string{"/endpoints"},
			when: `{"endpoints": [{"name": "new", "description": "New.", "path": "/new"}, {"name": "list", "description": "List.", "path": "/items", "method": "GET", "auth": {"type": "basic", "username": "u"}}]}`,
			then: func(t *testing.T, i domain.Integration) {
				require.Equal(t, uint64(1), i.Endpoints[1].Auth.Secret().Version)
			},
		},
		{
			name: "an endpoint without auth loses its own", given: calling, changed: []string{"/endpoints/0/auth"},
			when: `{"endpoints": [{"name": "list", "description": "List.", "path": "/items", "method": "GET"}]}`,
			then: func(t *testing.T, i domain.Integration) { require.Nil(t, i.Endpoints[0].Auth) },
		},
		{name: "an endpoint's secret doesn't follow to another host either", given: calling, when: `{"base_url": "https://b.example.com", "auth": {"bearer_token_value": "t"}}`, code: "secret_required"},
		{name: "a header's value stays when null is sent back", given: tooled, when: `{"mcp_headers": {"X-Token": null}}`},
		{name: "a header that is left out is gone", given: tooled, when: `{"mcp_headers": {}}`, changed: []string{"/mcp_headers"}},
		{name: "a header's value doesn't follow to another host", given: tooled, when: `{"mcp_url": "https://b.example.com/mcp"}`, code: "secret_required"},
		{
			name: "another protocol drops the fields of the previous one", given: tooled, when: `{"protocol": "rest", "base_url": "https://a.example.com"}`,
			changed: []string{"/base_url", "/mcp_headers", "/mcp_transport", "/mcp_url", "/protocol"},
		},
		{name: "health_check is null again", given: plain, when: `{"health_check": null}`},
		{name: "health_check takes its defaults", given: plain, when: `{"health_check": {"path": "/up"}}`, changed: []string{"/health_check"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := created(t, tt.given)
			before, err := json.Marshal(given)
			require.NoError(t, err)
			d, err := given.Update(doc(t, tt.when), domain.Attempt{At: later, ID: "a2"}, rules)
			after, _ := json.Marshal(given)
			require.JSONEq(t, string(before), string(after), "a decision leaves the state alone")
			if tt.code != "" {
				require.Equal(t, tt.code, codeOf(err), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Len(t, d.Seal, tt.seals)
			if tt.changed == nil {
				require.Nil(t, d.Event)
				return
			}
			e := d.Event.(domain.IntegrationUpdated)
			require.Equal(t, tt.changed, e.Changed)
			require.Equal(t, uint64(2), e.Integration.Version)
			require.Equal(t, later, e.Integration.UpdatedAt)
			if tt.then != nil {
				tt.then(t, e.Integration)
			}
		})
	}
}

// Earlier versions recorded of a secret that is exchanged for tokens only that it
// was given for both, the token endpoint and the base URL.
func TestASecretFromAnEarlierVersionKeepsItsDestination(t *testing.T) {
	given := created(t, withToken)
	ref := given.Auth.Secret()
	ref.Destinations = []string{"https://crm.example.com:443 client_secret_basic", "https://id.example.com:443 client_secret_basic"}
	given.Auth.Secrets["client_secret_value"] = ref
	d, err := given.Update(doc(t, `{"display_name": "Other", "auth": {"token_url": "https://id.example.com/v2"}}`), domain.Attempt{At: later, ID: "a2"}, rules)
	require.NoError(t, err)
	require.Equal(t, ref, d.Event.(domain.IntegrationUpdated).Integration.Auth.Secret())
	_, err = given.Update(doc(t, `{"auth": {"token_url": "https://crm.example.com/token"}}`), domain.Attempt{At: later, ID: "a2"}, rules)
	require.Equal(t, "secret_required", codeOf(err), err)
}

func TestOnlyAnExistingIntegrationChanges(t *testing.T) {
	builtin := domain.Builtins("acme", domain.BuiltinSettings{})[0]
	gone := domain.Evolve(created(t, plain), domain.IntegrationDeleted{ID: "x", Version: 2})
	for name, tt := range map[string]struct {
		given domain.Integration
		code  string
	}{
		"an unknown one": {domain.Integration{}, "integration_not_found"},
		"a deleted one":  {gone, "integration_not_found"},
		"a built-in":     {builtin, "builtin"},
	} {
		_, err := tt.given.Update(doc(t, `{"enabled": false}`), domain.Attempt{At: later}, rules)
		require.Equal(t, tt.code, codeOf(err), name)
		_, err = tt.given.Delete("", domain.Attempt{At: later})
		require.Equal(t, tt.code, codeOf(err), name)
	}
}

func TestDelete(t *testing.T) {
	d, err := created(t, keyed).Delete("replaced", domain.Attempt{At: later})
	require.NoError(t, err)
	require.Equal(t, domain.IntegrationDeleted{ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm", Version: 2, At: later, Reason: "replaced"}, d.Event)
	gone := domain.Evolve(created(t, keyed), d.Event)
	require.False(t, gone.Exists())
	require.Empty(t, gone.Secrets())
}

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

// rsaKey is a key made for this test.
const rsaKey = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCb1i+8e+u471bE
U0z9Q7Bf6GRAl6Z8CvhShLvfIzobkiS5OGtCYCTGf7kCvDn9VOQKApwEPE1bxbY7
IWLGxuOsmlrw229QJEVNx5cG9RORa0QU0fO69pVhDpesLhcOk6wDvF6+muAR9gLm
BKBCNDbU5zLIc3me+tI6Cb9HVU4fgxne5ehqpps1U9q7EJxX8t62smjsqMQoiQsi
0n2Zbc+CT+fxQznkyAntcK6/GB6RrxqT+IuXyfdVdC/1hX0BWIikrxnm3BGcFidE
yDc64Mla6Mo6gVMalxShTKmZ4knY9uwe1e3Bk2Dd35WIAPpAIEiI9m1Y8XahR4kM
kd7kTDqlAgMBAAECggEAAWWgpOxpdw1yNi1W/dg6/wkayPdzDx6cDkVRV9U9gpzD
RoPKdlxdSAhCFNOyI2K87pgKZQFTYjS6BvqsI4MJ7HSvxwP4kfvZQTK+WFofFEkl
YZhmOnFWcnnKg0kgfMl3G8t2//dsdczCRuSYuS81pJ/z9RcP6oxuEQYgWFfb7O1g
21EWV8umOeVAIrn13S9XPHnwCV6E2f97aOM+Uh2Ly0a+g3iCxDxf4AQBVo1kLr3K
RgAP10dDGK2jTfS44Ji0eK1RNRu7BPgdnyghiYYOygHXFJdC4chvKNcLEebVWdPY
eLmWChOOhNYh6KTXF+9fX7kycOhmn2zG7li5cYhEKwKBgQDN5BQXgdiT3Ivnymlv
jAR9WOMMDSa0J5BsVdPIfokAGt+4gdHpEKhOe7Mka8C+A6NomuAYyt3w1Ep6Y4R4
MRvf4wsRKkNep5jn7BwRpObeL6MWjmte+2BZ/6irpvK+gtVqXfdQLvSKm2pYwmXu
A884b1Qg7iB0BtSmI8KBtZXy3wKBgQDBw4EiOhMVtPOChyk0k6GBeS+oH4nPSdAi
4156/qDfmp8ekMQ4wVNR0vavxkcm+o7ZEEMAtHmyboqrgd6q6UGkA7+JUFdIHE0O
3Cg/4YlcN2qzs8e/0DTLEflv65H3jINrSCSnve9of504E37WvKiDUBI2lZabaGG8
ulXh+QYm+wKBgFGcyQIQbEMgNyzoJSccP2NYapeKVv8ud6cZ1lsxHSk3fdrrSsOx
4KVLj1UuiTZIxuteCNqK/7LI08Tz0by66quymd5x/EZ29Ltp8i5kSUdlZqY4SgNa
bXT/TGLOSIaP4fzJxpC4LCMNO/h3BmR0ih16s8Rh3+deFcjNf/peelPNAoGBAL2Z
EELtkL8s0RpoJ2nLC74lVvyr3612DLQWx9ySS9iA9DJ0dY0TnvPx+nEFE5qQkjbU
Mrv93Rc8E3S/H6Mdm51iDYnPk5h8GOrxgnD/v+j8UOyGfm6yzPXoIKvjVnFkjTPs
4/E/aYRXWwAEE5kMAdh8AVZoCXcILJr/ugnkIqEBAoGAffAxqq4nhjFhmr9ivhs0
qQE4S2UlZNuXn8vgCfy+74+oszD1GsC9EnAozbnuUf1FKmyOYWRTCyWQrhlR8bqM
Wq6dXCmESx1sb4r7BTVxboxOII4BPMlJSzSV6jJuwQO5RNuiguFA+pT4KucErXih
LvukEEr5FX9Y/14hz4px83E=
-----END PRIVATE KEY-----
`
