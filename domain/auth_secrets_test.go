package domain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// with returns an integration document with an auth.
func with(auth string) string {
	return `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": ` + auth + `}`
}

func updated(t *testing.T, i domain.Integration, text string) (domain.Integration, []domain.SealedSecret) {
	t.Helper()
	d, err := i.Update(doc(t, text), domain.Attempt{At: later, ID: "b", NewKey: madeKeys()}, rules)
	require.NoError(t, err)
	if d.Event == nil {
		return i, nil
	}
	return domain.Evolve(i, d.Event), d.Seal
}

func refused(t *testing.T, i domain.Integration, text, pointer, code string) {
	t.Helper()
	_, err := i.Update(doc(t, text), domain.Attempt{At: later, ID: "b"}, rules)
	requireProblem(t, err, pointer, code)
}

func TestEitherHalfOfBasicMayBeEmptyAndEitherMayBeTheSecret(t *testing.T) {
	i := created(t, with(`{"type": "basic", "username": "key-1234567890", "password_value": ""}`))
	require.Equal(t, "key-1234567890", i.Auth.Username)
	require.Empty(t, i.Auth.Secrets)
	i = created(t, with(`{"type": "basic", "username_value": "key-1234567890"}`))
	require.Empty(t, i.Auth.Username)
	require.Equal(t, "auth.username_value", i.Auth.Secrets["username_value"].Field)
	i, _ = updated(t, i, `{"auth": {"username": "amy"}}`)
	require.NotContains(t, i.Auth.Secrets, "username_value", "a plain name takes its place")
	i = created(t, with(`{"type": "basic", "password_value": "p"}`))
	require.Contains(t, i.Auth.Secrets, "password_value")
	i, _ = updated(t, i, `{"auth": {"username": "amy", "password_value": ""}}`)
	require.Empty(t, i.Auth.Secrets)
}

func TestWhatIsSentWithATokenRequestIsPartOfWhatItsSecretIsGivenFor(t *testing.T) {
	i := created(t, with(`{"client_id": "c", "client_secret_value": "s", "token_url": "https://id.example.com/token",
		"token_params": {"audience": "https://api.example.com", "password": {"value": "pw"}}, "token_headers": {"X-Key": {"value": "k"}}}`))
	require.Len(t, i.Secrets(), 3)
	require.Nil(t, i.Auth.TokenParams["password"], "a secret")
	require.Equal(t, "https://api.example.com", *i.Auth.TokenParams["audience"])
	for _, change := range []string{
		`{"token_params": {"audience": "https://other.example.com", "password": null}}`, `{"token_method": "GET", "token_request": "query"}`,
		`{"token_headers": {"X-Key": null, "X-Act-As": "amy"}}`, `{"token_url": "https://evil.example.com/token"}`, `{"token_in": {"query": "t"}}`,
		`{"token_answer": "text"}`,
	} {
		refused(t, i, `{"auth": `+change+`}`, "/auth/client_secret_value", "secret_required")
	}
	i, sealed := updated(t, i, `{"auth": {"scopes": "a"}}`)
	require.Empty(t, sealed)
	require.Len(t, i.Secrets(), 3, "a change elsewhere keeps them")
	refused(t, i, `{"auth": {"client_secret_value": "s", "token_params": {"password": "pw"}}}`, "/auth/token_params/password", "secret_in_clear")
	refused(t, i, `{"auth": {"client_secret_value": "s", "token_params": {"new": null}}}`, "/auth/token_params/new", "required")
	refused(t, i, `{"auth": {"client_secret_value": "s", "token_headers": {"Authorization": "Basic x"}}}`, "/auth/token_headers/Authorization", "secret_in_clear")
	refused(t, i, `{"auth": {"token_method": "GET"}}`, "/auth/token_request", "not_allowed")

	kept, err := i.Replace(i.Document(), domain.Attempt{At: later, ID: "c"}, rules)
	require.NoError(t, err)
	require.Nil(t, kept.Event, "a document that was read changes nothing")
	require.NotContains(t, string(mustJSON(t, i.Document())), `"secrets"`)
}

func TestWhatASecretSignsIsPartOfWhatItIsGivenFor(t *testing.T) {
	key := `"private_key_value": ` + quote(rsaKey)
	hook := `"signature": {"algorithm": "hmac-sha256", "template": "{body}", "header": "X-Sig"}`
	for _, tt := range []struct{ auth, field, changes string }{
		{`"type": "smart_backend_services", "client_id": "c", ` + key, "private_key_value", `{"client_id": "d"}, {"assertion_audience": "https://other.example.com"}`},
		{`"type": "oauth2_client_credentials", "client_auth_method": "private_key_jwt", "token_url": "https://id.example.com/token", "client_id": "c", "assertion_audience": "a", ` + key, "private_key_value", `{"client_id": "d"}, {"assertion_audience": "b"}, {"assertion_audience": null}`},
		{`"type": "oauth2_client_credentials", "client_auth_method": "client_secret_jwt", "token_url": "https://id.example.com/token", "client_id": "c", "client_secret_value": "s"`, "client_secret_value", `{"client_id": "d"}, {"assertion_audience": "b"}`},
		{`"type": "oauth2_jwt_bearer", "token_url": "https://id.example.com/token", "assertion_issuer": "i", "assertion_subject": "s", ` + key, "private_key_value", `{"assertion_issuer": "d"}, {"assertion_subject": "d"}, {"assertion_audience": "b"}`},
		{`"type": "oauth2_jwt_bearer", "token_url": "https://id.example.com/token", "assertion_issuer": "i", "assertion_subject": "s", "assertion_algorithm": "HS256", "shared_secret_value": "abcd"`, "shared_secret_value", `{"assertion_audience": "b"}, {"secret_encoding": "hex"}`},
		{`"type": "signed_jwt", "assertion_issuer": "i", "assertion_algorithm": "HS256", "shared_secret_value": "abcd"`, "shared_secret_value", `{"assertion_audience": "b"}, {"secret_encoding": "hex"}`},
		{`"type": "hmac", ` + hook + `, "shared_secret_value": "abcd"`, "shared_secret_value", `{"secret_encoding": "base64"}`},
		{`"type": "bearer_token_exchange", "exchange_url": "https://id.example.com", "exchange_secret_header": "X-Key", "exchange_secret_format": "{secret}", "exchange_token_field": "t", "exchange_secret_value": "s"`, "exchange_secret_value", `{"exchange_param_headers": [{"header_name": "X-Act-As", "param_name": "p"}]}`},
	} {
		i := created(t, with("{"+tt.auth+"}"))
		var changes []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte("["+tt.changes+"]"), &changes))
		for _, change := range changes {
			refused(t, i, `{"auth": `+string(change)+`}`, "/auth/"+tt.field, "secret_required")
		}
		_, sealed := updated(t, i, `{"display_name": "Other"}`)
		require.Empty(t, sealed, "a change elsewhere keeps it")
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

func TestTheHeadersOfAnIntegrationMayBeSecret(t *testing.T) {
	i := created(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "headers": {"Notion-Version": "2022-06-28", "DD-APPLICATION-KEY": {"value": "k2"}}}`)
	require.Equal(t, "2022-06-28", *i.Headers["Notion-Version"])
	require.Equal(t, []string{"https://crm.example.com:443 header DD-APPLICATION-KEY"}, i.HeaderSecrets["DD-APPLICATION-KEY"].Destinations)
	changes := domain.Changes(domain.Configuration{}, i.Configuration)
	require.NotContains(t, string(mustJSON(t, changes)), "a1-0", "the history shows no reference")
	refused(t, i, `{"base_url": "https://evil.example.com"}`, "/headers/DD-APPLICATION-KEY", "secret_required")
	refused(t, i, `{"endpoints": [{"name": "e", "description": "d", "path": "/", "base_url": "https://evil.example.com"}]}`, "/headers/DD-APPLICATION-KEY", "secret_required")
	refused(t, i, `{"headers": {"Authorization": "Basic x"}}`, "/headers/Authorization", "header_not_allowed")
	refused(t, i, `{"headers": {"Authorization": {"value": "x"}}, "auth": {"bearer_token_value": "t"}}`, "/headers/Authorization", "header_not_allowed")
	refused(t, i, `{"headers": {"x-api-key": "x"}, "auth": {"api_key_value": "t"}}`, "/headers/x-api-key", "header_not_allowed")
	refused(t, i, `{"headers": {"Host": "x"}}`, "/headers/Host", "header_not_allowed")
	refused(t, i, `{"headers": {"X-A": "1", "x-a": "2"}}`, "/headers/x-a", "duplicate")
	i, _ = updated(t, i, `{"headers": {"DD-APPLICATION-KEY": null}}`)
	require.Len(t, i.Headers, 1)
	require.Len(t, i.HeaderSecrets, 1)
	i, _ = updated(t, i, `{"headers": null}`)
	require.Empty(t, i.Secrets())
}

// madeKeys returns a source of keys with numbers.
func madeKeys() func(string) (domain.GeneratedKey, error) {
	n := 0
	return func(algorithm string) (domain.GeneratedKey, error) {
		n++
		id := algorithm + strings.Repeat("'", n)
		return domain.GeneratedKey{Private: domain.NewSecret("private " + id), ID: id, Public: json.RawMessage(`{"kid": "` + id + `"}`)}, nil
	}
}

func TestTheNextKeyIsPublishedBeforeItSignsAndThePreviousOneAfter(t *testing.T) {
	keys := madeKeys()
	d, err := domain.Integration{}.Create("acme", doc(t, with(`{"type": "smart_backend_services", "client_id": "c", "private_key_generate": "RS384"}`)), domain.Attempt{At: noon, ID: "a", NewKey: keys}, rules)
	require.NoError(t, err)
	require.Len(t, d.Seal, 1)
	i := domain.Evolve(domain.Integration{}, d.Event)
	require.Len(t, i.Secrets(), 1)
	d, err = i.RotateKeys(doc(t, `{"publish_seconds": 600, "overlap_seconds": 60}`), domain.Attempt{At: later, ID: "b", NewKey: keys})
	require.NoError(t, err)
	i = domain.Evolve(i, d.Event)
	signs := func(after time.Duration) string { key, _ := i.Auth.SigningKey(later.Add(after)); return key.ID }
	published := func(after time.Duration) int { return len(i.Auth.PublishedKeys(later.Add(after))) }
	require.Equal(t, []string{"RS384'", "RS384'", "RS384''"}, []string{signs(0), signs(10*time.Minute - 1), signs(10 * time.Minute)})
	require.Equal(t, []int{2, 2, 1}, []int{published(0), published(11*time.Minute - 1), published(11 * time.Minute)})
	require.Len(t, i.Secrets(), 2)
	d, err = i.Update(doc(t, `{"display_name": "Later"}`), domain.Attempt{At: later.Add(time.Hour), ID: "c"}, rules)
	require.NoError(t, err)
	require.Len(t, domain.Evolve(i, d.Event).Secrets(), 1, "a change drops the keys whose time is over")
	_, err = i.Update(doc(t, `{"auth": {"assertion_algorithm": "ES384"}}`), domain.Attempt{At: later, ID: "c"}, rules)
	requireProblem(t, err, "/auth/assertion_algorithm", "not_allowed")
	_, err = created(t, plain).RotateKeys(doc(t, `{}`), domain.Attempt{At: later, ID: "c"})
	require.Equal(t, domain.Conflict, domain.KindOf(err))
}

func TestTheAlgorithmOfAKeyIsInferredAndHeldToIt(t *testing.T) {
	i := created(t, smart)
	require.Equal(t, "RS384", i.Auth.AssertionAlgorithm)
	require.Equal(t, "RSA", i.Auth.Secret().KeyType)
	refused(t, i, `{"auth": {"assertion_algorithm": "ES384"}}`, "/auth/assertion_algorithm", "private_key_invalid")
	i = created(t, asserting)
	i, _ = updated(t, i, `{"auth": {"assertion_algorithm": "PS512"}}`)
	require.Equal(t, "PS512", i.Auth.AssertionAlgorithm)
	old := i
	auth := *i.Auth
	ref := auth.Secret()
	ref.KeyType = "" // as events recorded it before
	auth.Secrets, old.Auth = map[string]domain.SecretRef{domain.PrivateKeyField: ref}, &auth
	refused(t, old, `{"auth": {"assertion_algorithm": "RS256"}}`, "/auth/private_key_value", "secret_required")
	_, err := old.Update(doc(t, `{"display_name": "Other"}`), domain.Attempt{At: later, ID: "b"}, rules)
	require.NoError(t, err)
	for kind, algorithm := range map[string]string{"P-256": "ES256", "P-384": "ES384", "Ed25519": "EdDSA"} {
		i = created(t, strings.Replace(asserting, quote(rsaKey), quote(newKey(t, kind)), 1))
		require.Equal(t, algorithm, i.Auth.AssertionAlgorithm)
		require.Equal(t, kind, i.Auth.Secret().KeyType)
	}
	text := strings.Replace(smart, `"type": "smart`, `"private_key_generate": "RS384", "type": "smart`, 1)
	_, err = domain.Integration{}.Create("acme", doc(t, text), domain.Attempt{At: noon, ID: "a1", NewKey: madeKeys()}, rules)
	requireProblem(t, err, "/auth/private_key_generate", "not_allowed")
}
