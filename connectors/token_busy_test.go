package connectors

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

func TestEveryLabelOfATokenButDPoPAndMACMeansBearer(t *testing.T) {
	for _, label := range []string{`"BearerToken"`, `"bearer"`, `null`, `""`, `"access_token"`, `7`} {
		base, last := recorder(t)
		from := issues(t, func(int) string { return `{"access_token": "token-1", "token_type": ` + label + `}` })
		succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), clientCredentials(from.url), canary))
		if got := last().Header.Get("Authorization"); got != "Bearer token-1" {
			t.Errorf("%s: the call signs with %s", label, got)
		}
	}
}

func TestABusyTokenEndpointIsTriedAgainAsTheEndpointAsks(t *testing.T) {
	for _, row := range []struct {
		status, busy, retries int
		after                 string
		asked                 int32
		code                  domain.ErrorCode
	}{
		{429, 2, 2, "0", 3, ""},
		{502, 1, 2, "", 2, ""},
		{503, 1, 1, "0", 2, ""},
		{503, 2, 1, "", 2, domain.CallUpstreamError},
		{503, 1, 0, "", 1, domain.CallUpstreamError},
		{503, 1, 2, "3600", 1, domain.CallUpstreamError}, // longer than anybody waits
		{500, 1, 2, "", 1, domain.CallUpstreamError},
		{401, 1, 2, "", 1, domain.CallAuthFailed},
	} {
		t.Run(fmt.Sprint(row.status, " ", row.busy, " ", row.retries), func(t *testing.T) {
			base, _ := recorder(t)
			var asked atomic.Int32
			tokens := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				if int(asked.Add(1)) <= row.busy {
					w.Header().Set("Retry-After", row.after)
					w.WriteHeader(row.status)
					return
				}
				_, _ = io.WriteString(w, `{"access_token": "token-1"}`)
			})
			c := byToken(calling(base, nil, func(e *domain.Endpoint) {
				e.Retry = domain.RetryConfig{MaxRetries: row.retries, RetryOnStatus: []int{429, 502, 503}}
			}), clientCredentials(tokens), canary)
			if result := call(t, onLoopback(t), c); result.ErrorCode != row.code || asked.Load() != row.asked {
				t.Errorf("%d requests, and the call came to %q: %s", asked.Load(), result.ErrorCode, result.Error)
			}
		})
	}
}

func TestARefusalOfTheProxyIsReportedAsTheProxys(t *testing.T) {
	proxy := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
	})
	r := registry(t, Config{ProxyURL: proxy})
	for _, base := range []string{"http://api.example.test", "https://api.example.test"} {
		got := failsWith(t, r, calling(base, nil, nil), domain.CallUnreachable)
		if !strings.Contains(got.Error, "egress proxy") || !strings.Contains(got.Error, "407") {
			t.Errorf("%s: %s", base, got.Error)
		}
		c := byToken(calling(answers(t, 200, `{}`), nil, nil), clientCredentials(base+"/token"), canary)
		c.Integration.BaseURL, c.Integration.Auth.Secrets["client_secret_value"] = base, domain.SecretRef{ID: "s1", Destinations: []string{domain.Origin(base) + " place"}}
		if got := failsWith(t, r, c, domain.CallUnreachable); !strings.Contains(got.Error, "egress proxy") {
			t.Errorf("%s: %s", base, got.Error)
		}
	}
	upstream := answers(t, http.StatusProxyAuthRequired, `{}`)
	if got := failsWith(t, onLoopback(t), calling(upstream, nil, nil), domain.CallUpstreamError); strings.Contains(got.Error, "egress proxy") {
		t.Errorf("got %s", got.Error)
	}
}
