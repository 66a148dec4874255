package signin

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
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

// issuer gets tokens from token endpoints.
type issuer struct {
	client *egress.Client
	now    func() time.Time
	pins   *lru[string] // origins of discovered token endpoints, by pinKey
}

// issue requests a token, once more when the connection broke: which is no verdict
// about the credentials, and a second token does no harm.
func (i *issuer) issue(ctx context.Context, g grant, s signing) (token, *callerror.Error) {
	got, endpoint, e := i.request(ctx, g, s)
	if e != nil && e.Code == domain.CallUnreachable && !e.Unsent {
		got, endpoint, e = i.request(ctx, g, s)
	}
	if e != nil {
		return token{}, e
	}
	i.pin(s, endpoint)
	now, lifetime := i.now(), min(got.lifetime, maxLifetime)
	return token{
		text: got.text, endpoint: domain.Origin(endpoint.String()),
		renewAt: now.Add(lifetime - min(lifetime/5, time.Minute)), endsAt: now.Add(lifetime),
	}, nil
}
