package connectors

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// knows answers each method and path with a status; what it does not know is a
// 418.
func knows(t *testing.T, statuses map[string]int) string {
	t.Helper()
	return startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		status, ok := statuses[r.Method+" "+r.URL.RequestURI()]
		if !ok {
			status = http.StatusTeapot
		}
		if status == 200 && r.Header.Get("Authorization") == "Bearer wrong" {
			status = 401
		}
		w.WriteHeader(status)
	})
}

func TestAProbeReportsWhatItSaw(t *testing.T) {
	check := func(method, path string, expect int) *domain.HealthCheck {
		return &domain.HealthCheck{Method: method, Path: path, ExpectStatus: expect}
	}
	for _, row := range []struct {
		what     string
		statuses map[string]int
		check    *domain.HealthCheck
		secret   string
		want     domain.ProbeStatus
		status   int
	}{
		{"HEAD is enough", map[string]int{"HEAD /v1": 200}, nil, "", domain.Healthy, 200},
		{"with good credentials", map[string]int{"HEAD /v1": 200}, nil, "right", domain.Healthy, 200},
		{"with bad credentials", map[string]int{"HEAD /v1": 200}, nil, "wrong", domain.AuthFailed, 401},
		{"GET where there is no HEAD", map[string]int{"HEAD /v1": 405, "GET /v1": 200}, nil, "", domain.Healthy, 200},
		{"GET where HEAD is not implemented", map[string]int{"HEAD /v1": 501, "GET /v1": 204}, nil, "", domain.Healthy, 204},
		{"GET shows whether the credentials are right", map[string]int{"HEAD /v1": 405, "GET /v1": 200}, nil, "wrong", domain.AuthFailed, 401},
		{"a 404 is an answer", map[string]int{"HEAD /v1": 404}, nil, "", domain.Healthy, 404},
		{"a redirect is none: no call follows it", map[string]int{"HEAD /v1": 302}, nil, "", domain.Misconfigured, 302},
		{"nor is a permanent one", map[string]int{"HEAD /v1": 308}, nil, "right", domain.Misconfigured, 308},
		{"unless it is expected", map[string]int{"GET /v1/ping": 302}, check("GET", "/ping", 302), "", domain.Healthy, 302},
		{"a rate limit", map[string]int{"HEAD /v1": 429}, nil, "right", domain.Healthy, 429},
		{"a rate limit where another status is expected", map[string]int{"GET /v1/ping": 429}, check("GET", "/ping", 200), "right", domain.Unreachable, 429},
		{"a 500 is none", map[string]int{"HEAD /v1": 500}, nil, "", domain.Unreachable, 500},
		{"a 405 and then a 503", map[string]int{"HEAD /v1": 405, "GET /v1": 503}, nil, "", domain.Unreachable, 503},
		{"a 403 with credentials", map[string]int{"HEAD /v1": 403}, nil, "right", domain.AuthFailed, 403},
		{"a 401 without credentials", map[string]int{"HEAD /v1": 401}, nil, "", domain.Healthy, 401},
		{"the path to check", map[string]int{"GET /v1/ping?deep=1": 200}, check("GET", "/ping?deep=1", 0), "right", domain.Healthy, 200},
		{"the method to check", map[string]int{"HEAD /v1/ping": 405}, check("HEAD", "/ping", 0), "", domain.Healthy, 405},
		{"the status to expect", map[string]int{"GET /v1/ping": 204}, check("GET", "/ping", 204), "", domain.Healthy, 204},
		{"another status", map[string]int{"GET /v1/ping": 200}, check("GET", "/ping", 204), "", domain.Misconfigured, 200},
		{"a 500 is never good", map[string]int{"GET /v1/ping": 500}, check("GET", "/ping", 500), "", domain.Unreachable, 500},
		{"nor a refusal", map[string]int{"GET /v1/ping": 401}, check("GET", "/ping", 401), "right", domain.AuthFailed, 401},
	} {
		c := calling(knows(t, row.statuses)+"/v1", nil, nil)
		if row.secret != "" {
			c = signedBy(c, domain.Auth{Type: domain.BearerToken}, row.secret)
		}
		c.Integration.HealthCheck = row.check
		p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
		isSentence(t, p.Message)
		if p.Status != row.want || p.HTTPStatus != row.status || !p.AuthResolved || !p.At.Equal(noon) || p.Duration <= 0 {
			t.Errorf("%s: got %+v", row.what, p)
		}
		if len(p.Steps) != 2 || p.Steps[0].Name != "resolve_auth" || !p.Steps[0].OK || p.Steps[1].Name != "request" || p.Steps[1].OK != (row.want == domain.Healthy) {
			t.Errorf("%s: the steps are %+v", row.what, p.Steps)
		}
		if row.status >= 500 && !strings.Contains(p.Message, "50") {
			t.Errorf("%s: the status is missing: %s", row.what, p.Message)
		}
		warning := map[int]string{401: "asks for credentials: configure auth.", 404: "has nothing at this path"}[row.status]
		if row.want != domain.Healthy {
			warning = ""
		}
		if strings.Contains(p.Message, "was reached") != (warning != "") || !strings.Contains(p.Message, warning) {
			t.Errorf("%s: want the warning %q: %s", row.what, warning, p.Message)
		}
	}
}

func TestAProbeOfWhatIsNotThereIsNeverHealthy(t *testing.T) {
	for base, want := range map[string]domain.ProbeStatus{
		"http://127.0.0.1:1": domain.Unreachable, "http://no-such-host.invalid": domain.Misconfigured, "": domain.Misconfigured, "ftp://127.0.0.1": domain.Misconfigured,
	} {
		p := onLoopback(t).Probe(t.Context(), calling(base, nil, nil).Integration, nil)
		isSentence(t, p.Message)
		if p.Status != want || p.HTTPStatus != 0 || len(p.Steps) == 0 || p.Steps[len(p.Steps)-1].OK {
			t.Errorf("%s: got %+v", base, p)
		}
	}
}

func TestAProbeEndsWithItsContext(t *testing.T) {
	base := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	p := onLoopback(t).Probe(ctx, calling(base, nil, nil).Integration, nil)
	if p.Status != domain.Timeout || time.Since(start) > 5*time.Second {
		t.Errorf("got %+v after %s", p, time.Since(start))
	}
	if p := onLoopback(t).Probe(ctx, calling(answers(t, 200, ""), nil, nil).Integration, nil); p.Status != domain.Timeout {
		t.Errorf("a probe whose time is over came to %+v", p)
	}
}

func TestAnUnknownProtocolIsAFaultOfOurs(t *testing.T) {
	c := calling("http://127.0.0.1:1", nil, nil)
	c.Integration.Protocol = "gopher"
	if _, err := onLoopback(t).Call(t.Context(), c); domain.KindOf(err) != domain.Internal {
		t.Errorf("got %v", err)
	}
	if p := onLoopback(t).Probe(t.Context(), c.Integration, nil); p.Status != domain.Misconfigured {
		t.Errorf("got %+v", p)
	}
}
