package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/authserver"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// FindAuthorizationServer returns the authorization server at which a person consents to
// calls of an integration, and what was done to find it. An error is of kind Conflict, with
// the code of the failed call.
func (r *Registry) FindAuthorizationServer(ctx context.Context, i domain.Integration) (domain.AuthorizationServer, []domain.ProbeStep, error) {
	server, steps, e := authserver.Find(ctx, r.caller.client, i)
	return server, steps, refusal(e)
}

// RegisterClient registers this service at an authorization server (RFC 7591).
func (r *Registry) RegisterClient(ctx context.Context, server domain.AuthorizationServer, m domain.ClientMetadata) (domain.RegisteredClient, error) {
	c, e := authserver.Register(ctx, r.caller.client, server, m, r.caller.now())
	return c, refusal(e)
}

// ClientAuthMethod returns how a client authenticates at the token endpoint of a server.
func (r *Registry) ClientAuthMethod(configured string, server domain.AuthorizationServer, hasSecret bool) string {
	return authserver.Method(configured, server, hasSecret)
}

// RequestToken sends one request of a person's consent to a token endpoint.
func (r *Registry) RequestToken(ctx context.Context, t domain.TokenRequest) domain.TokenAnswer {
	return r.caller.auth.RequestToken(ctx, t)
}

// Identify asks an API who has signed in.
func (r *Registry) Identify(ctx context.Context, i domain.Integration, at string, access domain.Secret) (domain.Identity, error) {
	who, e := r.caller.auth.Identify(ctx, i, at, access)
	return who, refusal(e)
}

func refusal(e *callerror.Error) error {
	if e == nil {
		return nil
	}
	kind := domain.Conflict
	if e.Code == domain.CallUnreachable || e.Code == domain.CallTimeout {
		kind = domain.Unavailable
	}
	return domain.Wrap(e, kind, string(e.Code), e.Sentence)
}
