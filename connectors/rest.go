package connectors

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// plainJSON is the media type of an API that has no type of its own.
const plainJSON = "application/json"

// restConnector calls HTTP APIs.
type restConnector struct {
	*caller
	media string // the type of its JSON
}

func (c restConnector) call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	return c.caller.call(ctx, c, call)
}

func (c restConnector) sign(ctx context.Context, r *request) *callerror.Error {
	if e := c.judge(r); e != nil {
		return e
	}
	return c.authenticate(ctx, r)
}

func (c restConnector) send(ctx context.Context, r *request, e domain.Endpoint) (got reply, failure *callerror.Error) {
	got.answer, got.attempts, failure = c.do(ctx, r, e.Retry)
	return got, failure
}

func (restConnector) verdict(got egress.Answer, _ any) *callerror.Error { return got.Error() }

// probe requests the path of the health check if there is one, else the base URL: with
// HEAD, and with GET where the upstream does not support HEAD. It makes one attempt: a
// probe shows what is, not what retries would make of it.
func (c restConnector) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	p := newProbing(c.caller, i.Auth)
	check := cmp.Or(i.HealthCheck, &domain.HealthCheck{Method: http.MethodHead})
	r, e := c.harmless(i, open, *check)
	if e == nil {
		e = c.judge(r)
	}
	if e != nil {
		return p.failed("request", e)
	}
	if e = c.authenticate(ctx, r); e != nil && !p.unsigned(e) {
		return p.failed("resolve_auth", e)
	}
	if !p.challenged {
		p.signed(r)
	}
	got, e := p.head(ctx, r)
	if i.HealthCheck == nil && (got.Status == http.StatusMethodNotAllowed || got.Status == http.StatusNotImplemented) {
		r.Request.Method = http.MethodGet
		got, e = p.head(ctx, r)
	}
	p.seen.HTTPStatus = got.Status
	if p.isChallenge(got.Status) {
		return p.needsSignIn("request", got.Status)
	}
	if e == nil {
		e = unhealthy(got, i.Auth != nil, check.ExpectStatus)
	}
	if e != nil {
		return p.failed("request", e)
	}
	return p.healthy("request", fmt.Sprintf("%s answered %d %s.%s", r.Request.Method, got.Status, http.StatusText(got.Status), warning(got, check.ExpectStatus, p.auth != nil)))
}

// harmless returns the request of a probe.
func (c restConnector) harmless(i domain.Integration, open domain.Keyring, check domain.HealthCheck) (*request, *callerror.Error) {
	target, e := egress.Resolve(i.BaseURL, check.Path)
	if e != nil {
		return nil, e
	}
	header := http.Header{"User-Agent": {c.client.UserAgent}, "Accept": {c.media}, "Accept-Encoding": {"gzip"}}
	signin.SetPlainHeaders(header, i)
	return &request{Call: signin.Call{
		Integration: i, Auth: i.Auth, Keyring: open, BaseURL: i.BaseURL,
		Request: &egress.Request{Method: cmp.Or(check.Method, http.MethodGet), URL: target, Header: header},
	}}, nil
}
