package signin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// A grant is one way to get a token.
type grant struct {
	// request returns the request for a token. It is called for each attempt, since
	// no server takes the same assertion twice.
	request func(context.Context, *issuer, signing) (tokenRequest, *callerror.Error)
	// read takes the token out of a successful answer.
	read func(domain.Auth, map[string]any) (issued, *callerror.Error)
}

// Pins keeps where secrets were first sent, for every process and after a restart.
type Pins interface {
	// Pin returns the first value that was given for a secret and a name, which is value when
	// there is none yet. With an empty value nothing is kept.
	Pin(ctx context.Context, o domain.Owner, secret, name, value string) (string, error)
}

// pin is where a secret was first sent, of what an upstream names.
type pin struct {
	Issuer   string // "": the server has none
	Endpoint string // the origin of the token endpoint
}

// issuer gets tokens from token endpoints.
type issuer struct {
	client   *egress.Client
	now      func() time.Time
	attempts upstream.Attempts
	provers  *provers
	known    *lru[pin] // where secrets were first sent, of what an upstream names

	Pins // nil: none beside those in memory
}

// busyStatuses are those of a token endpoint that may issue a token soon.
var busyStatuses = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// issue requests a token, once more when the connection broke: which is no verdict
// about the credentials, and a second token does no harm. A busy token endpoint is
// retried as the retry_config of the call and Retry-After ask.
func (i *issuer) issue(ctx context.Context, g grant, s signing) (token, *callerror.Error) {
	var got issued
	var endpoint *url.URL
	broken := false
	_, e := i.attempts.Run(ctx, (*Credential)(nil), s.Retry, func() upstream.Outcome {
		o := upstream.Outcome{}
		got, endpoint, o.Status, o.Header, o.Err = i.request(ctx, g, s)
		if e := o.Err; e != nil && e.Code == domain.CallUnreachable && !e.Unsent && !broken {
			broken = true
			got, endpoint, o.Status, o.Header, o.Err = i.request(ctx, g, s)
		}
		return o
	}, func(o upstream.Outcome, _ bool) bool {
		return o.Err != nil && slices.Contains(busyStatuses, o.Status) && slices.Contains(s.Retry.RetryOnStatus, o.Status)
	})
	if e != nil {
		return token{}, e
	}
	now, lifetime := i.now(), min(got.lifetime, maxLifetime)
	return token{
		text: got.text, proved: got.proved, endpoint: domain.Origin(endpoint.String()),
		renewAt: now.Add(lifetime - min(lifetime/5, time.Minute)), endsAt: now.Add(lifetime),
	}, nil
}
