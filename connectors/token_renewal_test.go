package connectors

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

func TestManyCallsAskForOneToken(t *testing.T) {
	base, _ := recorder(t)
	let := make(chan struct{})
	from := issues(t, func(int) string {
		<-let
		return `{"access_token": "token-1", "expires_in": 600}`
	})
	r := onLoopback(t)
	c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
	results := make(chan domain.CallResult, 20)
	for range cap(results) {
		go func() {
			result, _ := r.Call(t.Context(), c)
			results <- result
		}()
	}
	// One of them has little patience, and leaves alone.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if hurried, _ := r.Call(ctx, c); hurried.ErrorCode != domain.CallTimeout || !strings.Contains(hurried.Error, "token endpoint") {
		t.Errorf("the hurried one got %+v", hurried)
	}
	close(let)
	for range cap(results) {
		if result := <-results; result.Error != "" {
			t.Errorf("got %s", result.Error)
		}
	}
	if got := len(from.requests()); got != 1 {
		t.Errorf("%d tokens were asked for", got)
	}
}

// A person's token: TestTwoHundredCallsAtAnExpiredTokenOfAPersonMakeOneRequest.
func TestTwoHundredCallsAtAnExpiredTokenOfAClientMakeOneRequest(t *testing.T) {
	var mu sync.Mutex
	carried := map[string]int{}
	with := func(token string) int {
		mu.Lock()
		defer mu.Unlock()
		return carried["Bearer "+token]
	}
	base := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		carried[r.Header.Get("Authorization")]++
	})
	answers := []chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	from := issues(t, func(n int) string {
		<-answers[n-1]
		return fmt.Sprintf(`{"access_token": "token-%d", "expires_in": 600}`, n)
	})
	r, clock := atClock(t)
	c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
	atOnce := func() <-chan domain.CallResult {
		results := make(chan domain.CallResult, 200)
		for range cap(results) {
			go func() {
				result, _ := r.Call(t.Context(), c)
				for strings.Contains(result.Error, "64 calls of this workspace") { // a busy machine: nothing was sent
					result, _ = r.Call(t.Context(), c)
				}
				results <- result
			}()
		}
		return results
	}
	succeed := func(results <-chan domain.CallResult) {
		t.Helper()
		for range cap(results) {
			if result := <-results; result.Error != "" || len(result.Attempts) != 1 {
				t.Fatalf("got %+v", result)
			}
		}
	}
	close(answers[0])
	succeeds(t, r, c)
	clock.advance(9*time.Minute + 30*time.Second) // it lasts half a minute more, and is renewed by then
	succeed(atOnce())                             // none waits: the token endpoint does not answer
	if with("token-1") != 201 {
		t.Errorf("the calls carried %v", carried)
	}
	until(t, "another token is asked for", func() bool { return len(from.requests()) == 2 })
	close(answers[1])
	until(t, "calls sign with it", func() bool { succeeds(t, r, c); return with("token-2") > 0 })
	clock.advance(time.Hour) // it has expired
	results := atOnce()
	until(t, "a token is asked for", func() bool { return len(from.requests()) == 3 })
	if len(results) > 0 {
		t.Error("a call did not wait for the token")
	}
	close(answers[2])
	succeed(results)
	if with("token-3") != 200 || len(from.requests()) != 3 {
		t.Errorf("the calls carried %v, of %d requests for a token", carried, len(from.requests()))
	}
}

func TestTheRequestForATokenEndsWithTheLastWhoWaitsForIt(t *testing.T) {
	ended := make(chan struct{})
	tokens := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // so that the server notices who leaves
		<-r.Context().Done()
		close(ended)
	})
	c := byToken(calling("http://127.0.0.1:1", nil, func(e *domain.Endpoint) { hurried(t, e) }), clientCredentials(tokens), canary)
	if got := failsWith(t, onLoopback(t), c, domain.CallTimeout).Error; !strings.Contains(got, "The token endpoint had not answered when the timeout_ms of 300 was over") {
		t.Errorf("got %s", got)
	}
	<-ended
}

// guarded is an upstream that takes the tokens of good, and counts its calls.
func guarded(t *testing.T, good func(token string) bool) (base string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	return startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !good(token) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = fmt.Fprintf(w, `{"token": %q, "body": %q, "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}`, token, body)
	}), calls
}

func TestAnUpstreamThatRefusesATokenGetsAFreshOneOnce(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		base, calls := guarded(t, func(token string) bool { return token != "token-1" })
		from := issues(t, nil)
		r := onLoopback(t)
		c := byToken(calling(base, map[string]any{"a": "b"}, func(e *domain.Endpoint) { e.Method = method }), clientCredentials(from.url), canary)
		result := succeeds(t, r, c)
		if len(result.Attempts) != 2 || result.Attempts[0].StatusCode != 401 || result.Attempts[0].Error == "" || result.Attempts[1].StatusCode != 200 || calls.Load() != 2 {
			t.Errorf("%s: the attempts are %+v", method, result.Attempts)
		}
		if shown := asJSON(t, result); strings.Contains(shown, "token-1") || strings.Contains(shown, "token-2") {
			t.Errorf("a token is shown: %s", shown)
		}
		if result := succeeds(t, r, c); len(result.Attempts) != 1 || len(from.requests()) != 2 {
			t.Errorf("the fresh token was not kept: %+v", result.Attempts)
		}
	}
}

func TestAnUpstreamThatRefusesEveryTokenIsCalledTwice(t *testing.T) {
	base, calls := guarded(t, func(string) bool { return false })
	from := issues(t, nil)
	c := byToken(calling(base, nil, func(e *domain.Endpoint) { e.Retry = usual }), clientCredentials(from.url), canary)
	result := failsWith(t, onLoopback(t), c, domain.CallAuthFailed)
	if len(result.Attempts) != 2 || calls.Load() != 2 || len(from.requests()) != 2 || result.StatusCode != 401 {
		t.Errorf("got %+v", result)
	}
}

func TestAFreshTokenDoesNotCostARetry(t *testing.T) {
	var n atomic.Int32
	base := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{503, 401, 503, 200}[n.Add(1)-1])
	})
	c := byToken(calling(base, nil, func(e *domain.Endpoint) { e.Retry = usual }), clientCredentials(issues(t, nil).url), canary)
	if got := succeeds(t, patient(t), c).Attempts; len(got) != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestATokenThatCanNotBeRenewedIsTheError(t *testing.T) {
	base, _ := guarded(t, func(string) bool { return false })
	from := issues(t, func(n int) string {
		if n == 1 {
			return `{"access_token": "token-1"}`
		}
		return `{"error": "invalid_client"}`
	})
	result := failsWith(t, onLoopback(t), byToken(calling(base, nil, nil), clientCredentials(from.url), canary), domain.CallAuthFailed)
	if !strings.Contains(result.Error, "invalid_client") || result.StatusCode != 401 || len(result.Attempts) != 1 {
		t.Errorf("got %+v", result)
	}
}

func TestAProbeGetsATokenAndReportsIt(t *testing.T) {
	for _, protocol := range []domain.Protocol{domain.REST, domain.FHIR} {
		base, _ := guarded(t, func(token string) bool { return token != "token-1" })
		from := issues(t, nil)
		r, clock := atClock(t)
		c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
		c.Integration.Protocol = protocol
		p := r.Probe(t.Context(), c.Integration, c.Keyring)
		if p.Status != domain.Healthy || !p.AuthResolved || len(from.requests()) != 2 {
			t.Errorf("%s: a revoked token makes a probe %+v", protocol, p)
		}
		clock.advance(10 * time.Second)
		p = r.Probe(t.Context(), c.Integration, c.Keyring)
		if want := "The token endpoint at " + domain.Origin(from.url) + " gave a token that lasts less than an hour."; p.Steps[0].Detail != want || !p.Steps[0].OK {
			t.Errorf("%s: the step is %+v", protocol, p.Steps[0])
		}
		broken := byToken(calling(base, nil, nil), clientCredentials(answers(t, 401, `{"error": "invalid_client"}`)), canary)
		broken.Integration.Protocol = protocol
		p = r.Probe(t.Context(), broken.Integration, broken.Keyring)
		if p.Status != domain.AuthFailed || p.AuthResolved || p.Steps[0].Name != "resolve_auth" || p.Steps[0].OK || !strings.Contains(p.Message, "invalid_client") {
			t.Errorf("%s: got %+v", protocol, p)
		}
	}
}

func TestAProbeThatHasToAskWithGETRenewsATokenToo(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.Header.Get("Authorization") == "Bearer token-1":
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	from := issues(t, nil)
	c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
	p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
	if p.Status != domain.Healthy || p.HTTPStatus != 200 || !p.AuthResolved || len(from.requests()) != 2 {
		t.Errorf("after %d tokens the probe came to %+v", len(from.requests()), p)
	}
}

func TestADiscoveryRenewsATokenThatTheServerRefuses(t *testing.T) {
	base, calls := guarded(t, func(token string) bool { return token != "token-1" })
	from := issues(t, nil)
	found := discovered(t, onFHIR(byToken(calling(base, nil, nil), clientCredentials(from.url), canary)), domain.Description{})
	if found.Error != "" || calls.Load() != 2 || len(from.requests()) != 2 {
		t.Errorf("after %d tokens it came to %+v", len(from.requests()), found)
	}
	shut, calls := guarded(t, func(string) bool { return false })
	found = discovered(t, onFHIR(byToken(calling(shut, nil, nil), clientCredentials(from.url), canary)), domain.Description{})
	if found.ErrorCode != domain.CallAuthFailed || calls.Load() != 2 {
		t.Errorf("a server that refuses every token was asked %d times: %+v", calls.Load(), found)
	}
}
