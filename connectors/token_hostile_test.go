package connectors

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func TestATokenEndpointThatHangsOrDripsEndsAtTheTimeout(t *testing.T) {
	for name, speak := range map[string]func(net.Conn){
		"hangs":         func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"drips headers": func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") },
		"drips a body":  func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			c := byToken(calling("http://127.0.0.1:1", nil, func(e *domain.Endpoint) { hurried(t, e) }), clientCredentials(speaker(t, speak)+"/token"), canary)
			if got := failsWith(t, onLoopback(t), c, domain.CallTimeout); !strings.Contains(got.Error, "token endpoint") || len(got.Attempts) != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestATokenEndpointTakesLittleMemory(t *testing.T) {
	huge := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		block := strings.Repeat("x", 64<<10)
		for range 160 {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	})
	endless := speaker(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := fmt.Fprintf(c, "X-A: %s\r\n", strings.Repeat("a", 1000)); err != nil {
				return
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := failsWith(t, onLoopback(t), byToken(calling("http://127.0.0.1:1", nil, nil), clientCredentials(huge), canary), domain.CallResponseTooLarge)
	if !strings.Contains(got.Error, "The token endpoint's answer is longer than 64 KiB") {
		t.Errorf("got %s", got.Error)
	}
	got = failsWith(t, onLoopback(t), byToken(calling("http://127.0.0.1:1", nil, nil), clientCredentials(endless), canary), domain.CallUpstreamError)
	if !strings.Contains(got.Error, "token endpoint") {
		t.Errorf("got %s", got.Error)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("it took %d MiB", grown>>20)
	}
}

func TestAnAnswerThatIsNoTokenIsReportedInASentence(t *testing.T) {
	long := strings.Repeat("a", 16<<10+1)
	for _, row := range []struct {
		status  int
		body    string
		code    domain.ErrorCode
		message string
	}{
		{200, `<html>please sign in</html>`, domain.CallMisconfigured, "without a JSON object"},
		{200, ``, domain.CallMisconfigured, "without a JSON object"},
		{200, `["token-1"]`, domain.CallMisconfigured, "without a JSON object"},
		{200, `{"token_type": "bearer"}`, domain.CallMisconfigured, "without a token"},
		{200, `{"access_token": {"a": 1}}`, domain.CallMisconfigured, "without a token"},
		{200, `{"access_token": "a\r\nX-Role: admin"}`, domain.CallMisconfigured, "line break"},
		{200, `{"access_token": " a"}`, domain.CallMisconfigured, "no header can carry"},
		{200, `{"access_token": "` + long + `"}`, domain.CallMisconfigured, "longer than 16 KiB"},
		{200, `{"access_token": "token-1", "token_type": "mac"}`, domain.CallMisconfigured, "Bearer"},
		{200, `{"access_token": "token-1", "token_type": "DPoP"}`, domain.CallMisconfigured, "Bearer"},
		{200, `{"error": "invalid_scope"}`, domain.CallAuthFailed, "invalid_scope: the client may not have these scopes."},
		{400, `{"error": "invalid_grant", "error_description": "too\nold."}`, domain.CallAuthFailed, "It says: too old."},
		{400, `{"error": "` + long + `"}`, domain.CallAuthFailed, "…"},
		{400, `no`, domain.CallAuthFailed, "gave no reason"},
		{401, `{"error": "invalid_client"}`, domain.CallAuthFailed, "credentials are wrong"},
		{401, ``, domain.CallAuthFailed, "The token endpoint answered 401"},
		{403, `<html>`, domain.CallAuthFailed, "The token endpoint answered 403"},
		{404, ``, domain.CallMisconfigured, "check its URL"},
		{429, `{"error": "slow_down"}`, domain.CallUpstreamError, "The token endpoint answered 429"},
		{500, `{"error": "server_error"}`, domain.CallUpstreamError, "The token endpoint answered 500"},
	} {
		var calls atomic.Int32
		tokens := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		})
		got := failsWith(t, onLoopback(t), byToken(calling("http://127.0.0.1:1", nil, nil), clientCredentials(tokens), canary), row.code)
		if !strings.Contains(got.Error, row.message) || len(got.Error) > 1000 || calls.Load() != 1 {
			t.Errorf("%d %.60s: after %d calls: %s", row.status, row.body, calls.Load(), got.Error)
		}
	}
}

func TestALifetimeThatMakesNoSenseIsNotBelieved(t *testing.T) {
	for written, want := range map[string]int{ // tokens asked for by three calls, the last an hour and a day later
		`3600`: 2, `"3600"`: 2, `3600.9`: 2, `1e300`: 2, `1e999`: 2, `"1e999"`: 2, `99999999999999999999`: 2, `null`: 2,
		`0`: 3, `-1`: 3, `"soon"`: 3, `""`: 3, `"NaN"`: 3, `"-Inf"`: 3, `{}`: 3, `true`: 3,
	} {
		from := issues(t, func(int) string { return `{"access_token": "token-1", "expires_in": ` + written + `}` })
		r, clock := atClock(t)
		base, _ := recorder(t)
		c := byToken(calling(base, nil, nil), clientCredentials(from.url), canary)
		succeeds(t, r, c)
		succeeds(t, r, c)
		clock.advance(25 * time.Hour)
		succeeds(t, r, c)
		if got := len(from.requests()); got != want {
			t.Errorf("%s: %d tokens were asked for, want %d", written, got, want)
		}
	}
}

func TestARedirectOfTheTokenEndpointIsNotFollowed(t *testing.T) {
	elsewhere := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 307, 308} {
		tokens := startUpstream(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		got := failsWith(t, onLoopback(t), byToken(calling("http://127.0.0.1:1", nil, nil), clientCredentials(tokens), canary), domain.CallMisconfigured)
		if !strings.Contains(got.Error, "redirects are not followed") {
			t.Errorf("got %s", got.Error)
		}
	}
}

func TestATokenEndpointThatEchoesShowsNoSecret(t *testing.T) {
	echo := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(400)
		sent, _ := jsonvalue.Compact(map[string]string{
			"error": "invalid_client", "error_description": r.Header.Get("Authorization") + r.Header.Get("X-Api-Key") + " " + string(body),
		})
		_, _ = io.WriteString(w, sent)
	})
	body := clientCredentials(echo)
	body.ClientAuthMethod = "body"
	key := pkcs8(t, rsaKey(t))
	const secret = "canary-secret+/=9"
	for _, row := range []struct {
		auth   domain.Auth
		secret string
	}{
		{clientCredentials(echo), secret},
		{body, secret},
		{domain.Auth{Type: domain.JSONTokenExchange, TokenURL: echo, TokenRequestClientIDField: "i", TokenRequestClientSecretField: "s", TokenResponsePath: "t"}, secret},
		{exchange(echo), secret},
		{domain.Auth{Type: domain.SMARTBackendServices, ClientID: "app", TokenURL: echo, AssertionAlgorithm: "RS384"}, key},
		{domain.Auth{Type: domain.JWTBearer, AssertionIssuer: "app", TokenURL: echo, AssertionAlgorithm: "RS384", TokenLifetimeSeconds: 300}, key},
	} {
		c := byToken(calling("http://127.0.0.1:1", nil, nil), row.auth, row.secret)
		shown := asJSON(t, failsWith(t, onLoopback(t), c, domain.CallAuthFailed)) + asJSON(t, onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring))
		if !strings.Contains(shown, scrub.Mask) || strings.Contains(shown, "canary") || strings.Contains(shown, "Y2FuYXJ5") || strings.Contains(shown, "eyJ") {
			t.Errorf("%s: %s", row.auth.Type, shown)
		}
	}
}

func TestAnUpstreamThatEchoesShowsNoToken(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_, _ = fmt.Fprintf(w, `{"you": %q, "secret": "canary-secret"}`, r.Header.Get("Authorization"))
	})
	from := issues(t, func(int) string { return `{"access_token": "minted-9"}` })
	shown := asJSON(t, succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), clientCredentials(from.url), "canary-secret")))
	if strings.Contains(shown, "minted-9") || strings.Contains(shown, "canary") || !strings.Contains(shown, scrub.Mask) {
		t.Errorf("got %s", shown)
	}
}

func TestATokenIsRequestedAgainWhenTheConnectionBroke(t *testing.T) {
	var calls atomic.Int32
	broken := speaker(t, func(c net.Conn) {
		if calls.Add(1) == 2 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 27\r\nConnection: close\r\n\r\n"+`{"access_token": "token-1"}`)
		}
	})
	base, last := recorder(t)
	succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), clientCredentials(broken), canary))
	if last().Header.Get("Authorization") != "Bearer token-1" {
		t.Error("another token was used")
	}
	for endpoint, code := range map[string]domain.ErrorCode{"http://127.0.0.1:1/token": domain.CallUnreachable, "http://no-such-host.invalid/token": domain.CallBlockedDestination} {
		got := failsWith(t, onLoopback(t), byToken(calling(base, nil, nil), clientCredentials(endpoint), canary), code)
		if !strings.Contains(got.Error, "token endpoint") {
			t.Errorf("got %s", got.Error)
		}
	}
}
