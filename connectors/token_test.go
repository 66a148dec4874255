package connectors

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// clock is a clock that a test sets.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return noon.Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// atClock returns a registry that lives by a clock of the test.
func atClock(t *testing.T) (*Registry, *clock) {
	t.Helper()
	c := &clock{}
	return registry(t, Config{AllowLoopback: true, Now: c.now}), c
}

// asked is a request that a token endpoint got.
type asked struct {
	Header http.Header
	Body   string
}

func (a asked) form(t *testing.T) url.Values {
	t.Helper()
	values, err := url.ParseQuery(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// issuer is a token endpoint that gives token-1, token-2 and so on, each for ten
// minutes unless answer returns otherwise.
type issuer struct {
	url    string
	answer func(n int) string
	mu     sync.Mutex
	asked  []asked
}

func issues(t *testing.T, answer func(n int) string) *issuer {
	t.Helper()
	i := &issuer{answer: answer}
	if answer == nil {
		i.answer = func(n int) string {
			return fmt.Sprintf(`{"access_token": "token-%d", "token_type": "bearer", "expires_in": 600}`, n)
		}
	}
	i.url = startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		i.mu.Lock()
		i.asked = append(i.asked, asked{r.Header, string(body)})
		n := len(i.asked)
		i.mu.Unlock()
		_, _ = io.WriteString(w, i.answer(n))
	}) + "/token"
	return i
}

func (i *issuer) requests() []asked {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

// byToken gives c an auth whose secret is for the base URL and for the token
// endpoint.
func byToken(c domain.Call, a domain.Auth, secret string) domain.Call {
	c = signedBy(c, a, secret)
	ref := c.Integration.Auth.Secrets[a.SecretField()]
	for _, endpoint := range []string{a.TokenURL, a.ExchangeURL} {
		if endpoint != "" {
			ref.Destinations = append(ref.Destinations, domain.Origin(endpoint)+" place")
		}
	}
	c.Integration.Auth.Secrets[a.SecretField()] = ref
	return c
}

func clientCredentials(tokenURL string) domain.Auth {
	return domain.Auth{Type: domain.ClientCredentials, ClientID: "app", TokenURL: tokenURL, ClientAuthMethod: "basic"}
}

func TestAClientSignsInWithItsIDAndSecretInTheHeaderOrInTheBody(t *testing.T) {
	base, last := recorder(t)
	for method, check := range map[string]func(asked){
		"basic": func(a asked) {
			pair := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape("an app:1") + ":" + url.QueryEscape(canary)))
			if a.Header.Get("Authorization") != "Basic "+pair || a.form(t).Has("client_secret") {
				t.Errorf("got %+v", a)
			}
		},
		"body": func(a asked) {
			if form := a.form(t); a.Header.Get("Authorization") != "" || form.Get("client_id") != "an app:1" || form.Get("client_secret") != canary {
				t.Errorf("got %+v", a)
			}
		},
	} {
		from := issues(t, nil)
		a := clientCredentials(from.url)
		a.ClientID, a.ClientAuthMethod, a.Scopes = "an app:1", method, []string{"read", "write"}
		result := succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), a, canary))
		got := from.requests()[0]
		check(got)
		form := got.form(t)
		if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "read write" || got.Header.Get("Accept") != "application/json" ||
			got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s: got %+v", method, got)
		}
		if last().Header.Get("Authorization") != "Bearer token-1" {
			t.Errorf("the upstream got %v", last().Header)
		}
		if shown := asJSON(t, result); strings.Contains(shown, "token-1") || result.Request.Headers.Get("Authorization") != scrub.Mask {
			t.Errorf("the token is shown: %s", shown)
		}
	}
}

func TestATokenIsKeptUntilShortlyBeforeItEnds(t *testing.T) {
	for _, row := range []struct{ lasts, kept, over time.Duration }{
		{10 * time.Minute, 9*time.Minute - time.Second, 9 * time.Minute},
		{100 * time.Second, 79 * time.Second, 80 * time.Second},
	} {
		base, last := recorder(t)
		from := issues(t, func(n int) string {
			return fmt.Sprintf(`{"access_token": "token-%d", "expires_in": %d}`, n, int(row.lasts.Seconds()))
		})
		r, clock := atClock(t)
		c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
		succeeds(t, r, c)
		last()
		clock.advance(row.kept)
		succeeds(t, r, c)
		if got := last().Header.Get("Authorization"); got != "Bearer token-1" {
			t.Errorf("after %s the call signs with %s", row.kept, got)
		}
		clock.advance(row.over - row.kept)
		until(t, fmt.Sprintf("after %s calls sign with another token", row.over), func() bool {
			succeeds(t, r, c)
			return last().Header.Get("Authorization") == "Bearer token-2"
		})
	}
}

func TestEveryRequestForATokenIsObserved(t *testing.T) {
	base, _ := recorder(t)
	from := issues(t, nil)
	r := onLoopback(t)
	var mu sync.Mutex
	seen := map[domain.CallOutcome]int{}
	r.ObserveTokens(func(how domain.AuthType, o domain.CallOutcome) {
		mu.Lock()
		defer mu.Unlock()
		if how != domain.ClientCredentials {
			t.Errorf("the type is %s", how)
		}
		seen[o]++
	})
	c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
	succeeds(t, r, c)
	succeeds(t, r, c) // with the same token
	failsWith(t, r, byToken(calling(base, nil, nil), clientCredentials(answers(t, http.StatusUnauthorized, `{"error": "invalid_client"}`)), canary), domain.CallAuthFailed)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen[domain.CallOK] != 1 || seen[domain.CallOutcome(domain.CallAuthFailed)] != 1 {
		t.Errorf("observed %v", seen)
	}
}

func TestTheOldTokenServesWhileNoNewOneCanBeHad(t *testing.T) {
	base, last := recorder(t)
	var status atomic.Int32
	status.Store(200)
	tokens := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		if status.Load() == 200 {
			_, _ = io.WriteString(w, `{"access_token": "token-1", "expires_in": 600}`)
		}
	})
	r, clock := atClock(t)
	c := byToken(calling(base, nil, nil), clientCredentials(tokens), canary)
	succeeds(t, r, c)
	last()
	status.Store(503)
	clock.advance(9*time.Minute + 30*time.Second)
	for range 3 {
		succeeds(t, r, c)
		if last().Header.Get("Authorization") != "Bearer token-1" {
			t.Error("the old token was not used")
		}
	}
	status.Store(401)
	until(t, "a refusal is found out beside the calls", func() bool {
		clock.advance(time.Second) // the renewal before may not have ended when the first one is due
		result, err := r.Call(t.Context(), c)
		if err == nil && result.ErrorCode == "" {
			last()
		}
		return err == nil && result.ErrorCode == domain.CallAuthFailed
	})
	status.Store(503)
	clock.advance(time.Minute)
	failsWith(t, r, c, domain.CallUpstreamError)
}

// A token endpoint that hangs costs nobody anything while the old token lasts.
func TestNobodyWaitsForATokenWhileTheOldOneLasts(t *testing.T) {
	base, last := recorder(t)
	asked := make(chan bool, 8)
	hang := make(chan struct{})
	var n atomic.Int32
	tokens := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if asked <- true; n.Add(1) > 1 {
			select {
			case <-hang:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = fmt.Fprintf(w, `{"access_token": "token-%d", "expires_in": 600}`, n.Load())
	})
	r, clock := atClock(t)
	c := byToken(calling(base, nil, nil), clientCredentials(tokens), canary)
	succeeds(t, r, c)
	<-asked
	clock.advance(9*time.Minute + 30*time.Second)
	var calls sync.WaitGroup
	for range upstream.MaxConcurrent {
		calls.Go(func() { succeeds(t, r, c) })
	}
	calls.Wait()
	<-asked
	if len(asked) > 0 {
		t.Error("the token endpoint was asked more than once")
	}
	close(hang)
	until(t, "the new token is used once it is there", func() bool {
		succeeds(t, r, c)
		return last().Header.Get("Authorization") == "Bearer token-2"
	})
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

func TestATokenIsSharedOnlyByCallsThatSignInAlike(t *testing.T) {
	base, _ := recorder(t)
	from := issues(t, nil)
	r := onLoopback(t)
	c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
	for what, change := range map[string]func(*domain.Call){
		"the first":           func(*domain.Call) {},
		"another workspace":   func(c *domain.Call) { c.Integration.Workspace = "other" },
		"another integration": func(c *domain.Call) { c.Integration.ID = "other" },
		"created again":       func(c *domain.Call) { c.Integration.Incarnation = 7 },
		"another secret":      func(c *domain.Call) { c.Keyring = keyring("another") },
		"another version":     func(c *domain.Call) { other(c, func(ref *domain.SecretRef) { ref.Version++ }) },
		"another reference":   func(c *domain.Call) { other(c, func(ref *domain.SecretRef) { ref.ID = "s2" }) },
		"other scopes":        func(c *domain.Call) { c.Integration.Auth.Scopes = []string{"more"} },
		"another client":      func(c *domain.Call) { c.Integration.Auth.ClientID = "other" },
	} {
		one := c
		auth := *c.Integration.Auth
		one.Integration.Auth = &auth
		change(&one)
		before := len(from.requests())
		succeeds(t, r, one)
		succeeds(t, r, one)
		if got := len(from.requests()) - before; got != 1 {
			t.Errorf("%s: %d tokens were asked for", what, got)
		}
	}
}

func other(c *domain.Call, change func(*domain.SecretRef)) {
	field := c.Integration.Auth.SecretField()
	ref := c.Integration.Auth.Secrets[field]
	change(&ref)
	c.Integration.Auth.Secrets = map[string]domain.SecretRef{field: ref}
}

func TestADryRunAsksForNoToken(t *testing.T) {
	from := issues(t, nil)
	c := byToken(calling("http://127.0.0.1:1", nil, nil), clientCredentials(from.url), canary)
	c.DryRun = true
	if result := succeeds(t, onLoopback(t), c); result.Request.Headers.Get("Authorization") != scrub.Mask || len(from.requests()) != 0 {
		t.Errorf("got %+v", result.Request)
	}
}

func TestASecretGoesToNoTokenEndpointButTheOneItWasGivenFor(t *testing.T) {
	tokens := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the token endpoint was called") })
	for _, a := range []domain.Auth{
		clientCredentials(tokens),
		{Type: domain.JSONTokenExchange, TokenURL: tokens},
		{Type: domain.BearerTokenExchange, ExchangeURL: tokens},
		{Type: domain.SMARTBackendServices, TokenURL: tokens},
		{Type: domain.JWTBearer, TokenURL: tokens},
	} {
		c := signedBy(calling("http://127.0.0.1:1", nil, nil), a, canary) // for the base URL only
		c.Keyring = func(context.Context, domain.SecretRef) (domain.Secret, error) {
			t.Errorf("%s: the secret was opened", a.Type)
			return domain.NewSecret(canary), nil
		}
		if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured).Error; !strings.Contains(got, "another token endpoint") {
			t.Errorf("got %s", got)
		}
	}
}

func TestADeniedTokenEndpointIsNeverCalled(t *testing.T) {
	base, _ := recorder(t)
	for _, endpoint := range []string{"http://169.254.169.254/token", "http://metadata.google.internal/token"} {
		c := byToken(calling(base, nil, nil), clientCredentials(endpoint), canary)
		if got := failsWith(t, onLoopback(t), c, domain.CallBlockedDestination).Error; !strings.Contains(got, "token endpoint") {
			t.Errorf("got %s", got)
		}
	}
}

func TestATokenCanBeExchangedForInJSON(t *testing.T) {
	base, last := recorder(t)
	from := issues(t, func(int) string { return `{"data": {"tokens": ["token-7"]}, "expires_in": "60"}` })
	a := domain.Auth{
		Type: domain.JSONTokenExchange, TokenURL: from.url, ClientID: "app",
		TokenRequestClientIDField: "clientId", TokenRequestClientSecretField: "clientSecret", TokenResponsePath: "data.tokens[0]",
	}
	succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), a, canary))
	got := from.requests()[0]
	var body map[string]string
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil || len(body) != 2 || body["clientId"] != "app" || body["clientSecret"] != canary {
		t.Errorf("got %s", got.Body)
	}
	if got.Header.Get("Content-Type") != "application/json" || last().Header.Get("Authorization") != "Bearer token-7" {
		t.Errorf("got %v and %v", got.Header, last().Header)
	}
}
