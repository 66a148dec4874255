package connectors

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/seed677028b5/integrations/domain"
)

// probe asks for the health check's path if there is one, else for the base
// URL: with HEAD, and with GET where the upstream knows no HEAD. One attempt is
// made: a probe shows what is, not what a little patience would make of it.
func (c rest) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	p := newProbing(c.way.now(), i.Auth)
	check := cmp.Or(i.HealthCheck, &domain.HealthCheck{Method: http.MethodHead})
	out, f := c.harmless(i.BaseURL, *check)
	if f == nil {
		f = c.way.judge(out)
	}
	if f != nil {
		return p.failed("request", f)
	}
	if f = c.way.sign(ctx, i, i.Auth, open, out); f != nil {
		return p.failed("resolve_auth", f)
	}
	p.signed(out)
	var status int
	glance := func() (_ int, f *fault) {
		status, f = c.way.glance(ctx, out)
		return status, f
	}
	f = p.send(ctx, out, glance)
	if i.HealthCheck == nil && (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) {
		out.method = http.MethodGet
		f = p.send(ctx, out, glance)
	}
	p.seen.HTTPStatus = status
	if f == nil {
		f = unhealthy(status, i.Auth != nil, check.ExpectStatus)
	}
	if f != nil {
		return p.failed("request", f)
	}
	return p.healthy("request", fmt.Sprintf("%s answered %d %s.", out.method, status, http.StatusText(status)))
}

// harmless returns the request of a probe.
func (c rest) harmless(base string, check domain.HealthCheck) (*outgoing, *fault) {
	target, f := below(base, check.Path)
	if f != nil {
		return nil, f
	}
	return &outgoing{method: cmp.Or(check.Method, http.MethodGet), url: target, base: base, header: http.Header{
		"User-Agent": {c.way.agent}, "Accept": {c.media}, "Accept-Encoding": {"gzip"},
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

func signedWith(a *domain.Auth, out *outgoing) string {
	switch {
	case a == nil:
		return "No credentials are configured."
	case out.resolved != "":
		return out.resolved
	}
	return fmt.Sprintf("The credentials for %s are ready.", a.Type)
}
