package connectors

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// probe asks for the health check's path if there is one, else for the base
// URL: with HEAD, and with GET where the upstream knows no HEAD. One attempt is
// made: a probe shows what is, not what a little patience would make of it.
func (c rest) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	seen := domain.Probe{At: c.way.now(), AuthResolved: i.Auth == nil}
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	check := cmp.Or(i.HealthCheck, &domain.HealthCheck{Method: http.MethodHead})
	end := func(scrub scrubber, status domain.ProbeStatus, sentence string) domain.Probe {
		seen.Status, seen.Message, seen.Duration = status, scrub.text(sentence), time.Since(start)
		return seen
	}
	step := func(name string, f *fault, detail string) {
		if f != nil {
			detail = f.sentence
		}
		seen.Steps = append(seen.Steps, domain.ProbeStep{Name: name, OK: f == nil, Detail: detail})
	}
	out, f := c.harmless(i.BaseURL, *check)
	if f == nil {
		f = c.way.judge(out)
	}
	if f != nil {
		step("request", f, "")
		return end(scrubber{}, probeStatus(f.code), f.sentence)
	}
	if f = c.way.sign(ctx, i, i.Auth, open, out); f != nil {
		step("resolve_auth", f, "")
		return end(scrubber{}, probeStatus(f.code), f.sentence)
	}
	scrub := newScrubber(out.secrets...)
	seen.AuthResolved = true
	step("resolve_auth", nil, signedWith(i.Auth))
	status, f := c.way.glance(ctx, out)
	if i.HealthCheck == nil && (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) {
		out.method = http.MethodGet
		status, f = c.way.glance(ctx, out)
	}
	seen.HTTPStatus = status
	if f == nil {
		f = unhealthy(status, i.Auth != nil, check.ExpectStatus)
	}
	said := fmt.Sprintf("%s answered %d %s.", out.method, status, http.StatusText(status))
	step("request", f, said)
	if f != nil {
		seen.Steps[len(seen.Steps)-1].Detail = scrub.text(f.sentence)
		return end(scrub, probeStatus(f.code), f.sentence)
	}
	return end(scrub, domain.Healthy, said)
}

// harmless returns the request of a probe.
func (c rest) harmless(base string, check domain.HealthCheck) (*outgoing, *fault) {
	target, f := below(base, check.Path)
	if f != nil {
		return nil, f
	}
	return &outgoing{method: cmp.Or(check.Method, http.MethodGet), url: target, header: http.Header{
		"User-Agent": {c.way.agent}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
	}}, nil
}

// glance sends out once and returns the status, without reading the body.
func (o *outbound) glance(ctx context.Context, out *outgoing) (int, *fault) {
	var seen progress
	r, f := out.request(seen.watch(ctx))
	if f != nil {
		return 0, f
	}
	r.Close = true // net/http logs what an upstream says behind its answer to HEAD
	resp, err := o.door.RoundTrip(r)
	if err != nil {
		return 0, seen.explain(ctx, err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// unhealthy is the fault of a status that a probe got, nil for a good one. A
// 401 is good where no credentials are configured: the upstream is there.
func unhealthy(status int, signed bool, expected int) *fault {
	f := refusal(status)
	switch {
	case f != nil && f.code == domain.CallAuthFailed && signed:
		return f
	case status >= 500:
		return &fault{code: domain.CallUnreachable, sentence: f.sentence}
	case expected != 0 && status != expected:
		return misconfigured("The upstream answered %d, and the health check expects %d.", status, expected)
	}
	return nil
}

// probeStatus is the status of a probe that failed with code.
func probeStatus(code domain.ErrorCode) domain.ProbeStatus {
	switch code {
	case domain.CallAuthFailed:
		return domain.AuthFailed
	case domain.CallTimeout:
		return domain.Timeout
	case domain.CallSSLError:
		return domain.SSLError
	case domain.CallMisconfigured, domain.CallBlockedDestination:
		return domain.Misconfigured
	case domain.CallUnreachable, domain.CallUpstreamError, domain.CallToolError, domain.CallResponseTooLarge:
	}
	return domain.Unreachable
}

func signedWith(a *domain.Auth) string {
	if a == nil {
		return "No credentials are configured."
	}
	return fmt.Sprintf("The credentials for %s are ready.", a.Type)
}
