package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

const (
	subjectSecret  = "subject-token-4711-of-amy"
	actorSecret    = "actor-token-4712-of-the-agent"
	resourceSecret = "secret-4713-at-the-resource"
	assertionText  = "id-jag-4714.of.amy"
)

// swapping returns a document whose auth exchanges a subject token.
func swapping(base string, auth members) domain.Document {
	all := members{"type": "oauth2_token_exchange", "client_id": "app", "client_secret_value": canary, "subject_token_value": subjectSecret}
	for name, value := range auth {
		all[name] = value
	}
	return domain.Document{"base_url": base, "auth": all}
}

func TestASubjectTokenIsExchangedForTheTokenOfACall(t *testing.T) {
	as := servesMetadata(t)
	as.answer = func(w http.ResponseWriter, _ asked) {
		_, _ = io.WriteString(w, `{"access_token": "token-1", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "N_A", "expires_in": 60}`)
	}
	base, last := recorder(t)
	for _, protocol := range []string{"rest", "fhir"} {
		doc := swapping(base, members{
			"token_url": as.url + "/token", "subject_token_type": "jwt", "actor_token_value": actorSecret, "actor_token_type": "urn:example:agent", "requested_token_type": "access_token",
			"audience": "the-api", "resource": "https://api.example/", "scopes": "read write", "token_params": members{"more": "1"},
		})
		doc["protocol"] = protocol
		result := succeeds(t, onLoopback(t), created(t, doc))
		require.Equal(t, "Bearer token-1", last().Header.Get("Authorization"))
		require.Equal(t, scrub.Mask, result.Request.Headers.Get("Authorization"))
		requests, _ := as.requests()
		form := requests[len(requests)-1].form(t)
		for name, want := range map[string]string{
			"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": subjectSecret, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
			"actor_token": actorSecret, "actor_token_type": "urn:example:agent", "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
			"audience": "the-api", "resource": "https://api.example/", "scope": "read write", "more": "1",
		} {
			require.Equal(t, want, form.Get(name), name)
		}
		require.True(t, strings.HasPrefix(requests[0].Header.Get("Authorization"), "Basic "))
	}
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{as.url})
	at := resourceOf(t, &servers)
	doc := swapping("", members{"client_auth_method": "none", "client_id": nil, "client_secret_value": nil})
	doc["protocol"], doc["mcp_transport"], doc["mcp_url"] = "mcp", "http", at
	delete(doc, "base_url")
	succeeds(t, onLoopback(t), created(t, doc))
	requests, _ := as.requests()
	form := requests[len(requests)-1].form(t)
	require.Equal(t, at, form.Get("resource"))
	require.False(t, form.Has("client_id") || form.Has("actor_token") || form.Has("actor_token_type") || form.Has("requested_token_type") || form.Has("audience"), form)
	require.Equal(t, "urn:ietf:params:oauth:token-type:access_token", form.Get("subject_token_type"))
}

// givesAssertions makes as an identity provider, which gives an ID-JAG.
func givesAssertions(as *metadataOf) {
	as.answer = func(w http.ResponseWriter, _ asked) {
		_, _ = fmt.Fprintf(w, `{"access_token": %q, "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A", "expires_in": 300}`, assertionText)
	}
}

func TestAnIdentityAssertionIsExchangedAtTheAuthorizationServerOfTheResource(t *testing.T) {
	provider, as := servesMetadata(t), servesMetadata(t)
	givesAssertions(provider)
	base, last := recorder(t)
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{as.url})
	at := resourceOf(t, &servers)
	for _, protocol := range []string{"rest", "fhir", "mcp"} {
		auth := members{
			"token_url": provider.url + "/token", "requested_token_type": "id-jag", "scopes": "read", "token_params": members{"tenant": "acme"},
			"resource_client_id": "app-there", "resource_client_secret_value": resourceSecret,
		}
		doc := swapping(base, auth)
		if doc["protocol"] = protocol; protocol == "mcp" {
			doc["mcp_transport"], doc["mcp_url"] = "http", at
			delete(doc, "base_url")
		} else {
			doc["auth"].(members)["resource_issuer"], doc["auth"].(members)["resource"] = as.url, "https://api.example"
		}
		result := succeeds(t, onLoopback(t), created(t, doc))
		require.NotContains(t, asJSON(t, result), assertionText)
		if protocol != "mcp" {
			require.Contains(t, last().Header.Get("Authorization"), "Bearer token-")
		}
		asked, _ := provider.requests()
		first := asked[len(asked)-1]
		form := first.form(t)
		require.Equal(t, as.url, form.Get("audience"))
		require.Equal(t, map[bool]string{true: at, false: "https://api.example"}[protocol == "mcp"], form.Get("resource"))
		require.Equal(t, "urn:ietf:params:oauth:token-type:id_token", form.Get("subject_token_type"))
		require.Equal(t, "acme", form.Get("tenant"))
		require.NotContains(t, asJSON(t, first), resourceSecret, "what was given for the resource stays there")
		asked, _ = as.requests()
		second := asked[len(asked)-1]
		form = second.form(t)
		require.Equal(t, "urn:ietf:params:oauth:grant-type:jwt-bearer", form.Get("grant_type"))
		require.Equal(t, assertionText, form.Get("assertion"))
		require.Equal(t, "read", form.Get("scope"))
		require.False(t, form.Has("tenant"))
		id, password, _ := (&http.Request{Header: second.Header}).BasicAuth()
		require.Equal(t, "app-there "+resourceSecret, id+" "+password)
		for _, secret := range []string{canary, subjectSecret} {
			require.NotContains(t, asJSON(t, second), secret, "what was given for the identity provider stays there")
		}
	}
}

func TestWhatIsNoIdentityAssertionGoesNowhere(t *testing.T) {
	as := servesMetadata(t)
	for want, answer := range map[string]string{
		`a token of the type "urn:ietf:params:oauth:token-type:access_token"`: `{"access_token": "a", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}`,
		`a token of the type ""`: `{"access_token": "a"}`,
		"without a token":        `{"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag"}`,
		"a part of the request":  `{"access_token": "` + subjectSecret + `", "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag"}`,
		"At the identity provider: The token endpoint refused to give a token with access_denied. It says: " + scrub.Mask + " may not.": `{"error": "access_denied", "error_description": "` + subjectSecret + ` may not"}`,
	} {
		provider := servesMetadata(t)
		provider.answer = func(w http.ResponseWriter, _ asked) { _, _ = io.WriteString(w, answer) }
		c := created(t, swapping("http://127.0.0.1:1", members{
			"token_url": provider.url + "/token", "requested_token_type": "id-jag", "resource_client_id": "b", "resource_client_secret_value": resourceSecret, "resource_issuer": as.url,
		}))
		result := call(t, onLoopback(t), c)
		require.Contains(t, result.Error, want)
		require.Contains(t, []domain.ErrorCode{domain.CallMisconfigured, domain.CallAuthFailed}, result.ErrorCode)
	}
	requests, _ := as.requests()
	require.Empty(t, requests)
}

func TestASubjectTokenIsMaskedInWhatAnUpstreamShows(t *testing.T) {
	as := servesMetadata(t)
	upstream := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode([]string{subjectSecret, actorSecret, canary})
	})
	c := created(t, swapping(upstream, members{"token_url": as.url + "/token", "actor_token_value": actorSecret}))
	shown := asJSON(t, succeeds(t, onLoopback(t), c))
	for _, secret := range []string{subjectSecret, actorSecret, canary} {
		require.NotContains(t, shown, secret)
	}
}

func TestTheAuthorizationServerOfTheResourceIsPinnedToo(t *testing.T) {
	provider, first, second := servesMetadata(t), servesMetadata(t), servesMetadata(t)
	givesAssertions(provider)
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{first.url})
	pins := openPins(t)
	doc := swapping("", members{
		"token_url": provider.url + "/token", "requested_token_type": "id-jag", "resource_client_id": "b", "resource_client_secret_value": resourceSecret,
	})
	doc["protocol"], doc["mcp_transport"], doc["mcp_url"] = "mcp", "http", resourceOf(t, &servers)
	delete(doc, "base_url")
	c := created(t, doc)
	succeeds(t, registry(t, Config{AllowLoopback: true, Pins: pins}), c)
	servers.Store(&[]string{second.url})
	got := failsWith(t, registry(t, Config{AllowLoopback: true, Pins: pins}), c, domain.CallMisconfigured)
	require.Contains(t, got.Error, "set resource_issuer")
	requests, reads := second.requests()
	require.Zero(t, len(requests)+reads)
	requests, _ = provider.requests()
	require.Len(t, requests, 1, "no assertion was asked for")
}
