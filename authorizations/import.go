package authorizations

import (
	"context"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Import is what another system has of a subject's consent.
type Import struct {
	By             string // the id of the API key
	Access         domain.Secret
	Refresh        domain.Secret
	ExpiresAt      time.Time // of Access; zero: unknown
	Scopes         []string  // nil: unknown, so those that are configured
	Account        string    // who consented. Empty: unknown
	ReplaceAccount bool      // another account than the present one may take its place
}

// Imported is what became of an import.
type Imported struct {
	Position uint64
	Proven   bool // a refresh has succeeded
}

// Import takes over tokens that a person has given to the configured client elsewhere. Where
// there is a refresh token it is used once, at once: what the authorization server refuses is
// not imported (Conflict), and what it doesn't answer is kept as unproven, as are tokens
// without one. The other system must use it no more.
func (a *Authorizations) Import(ctx context.Context, u Use, in Import) (Imported, error) {
	i, k := u.Integration, a.key(u)
	if i.Auth.ClientID == "" {
		return Imported{}, domain.Errorf(domain.Conflict, "client_id_missing", "configure client_id: tokens belong to the client that they were given to")
	}
	for name, c := range i.Auth.Capture {
		if !c.Optional && c.From != domain.FromToken && c.From != domain.FromIDToken {
			return Imported{}, domain.Errorf(domain.Conflict, "account_value_missing", "calls need the value %s of the account, which no import has: somebody must sign in", name)
		}
	}
	server, _, err := a.Upstream.FindAuthorizationServer(ctx, i)
	if err != nil {
		return Imported{}, err
	}
	g, err := a.importedGrant(ctx, u, server, in)
	if err != nil {
		return Imported{}, err
	}
	ref := a.newGrant(k)
	owner := i.Owner()
	if g.Refresh != "" {
		if g, err = a.proven(ctx, u, g); err != nil {
			return Imported{}, err
		}
	}
	if err := a.rememberSubject(ctx, u, k); err != nil {
		return Imported{}, err
	}
	if err := a.seal(ctx, owner, ref, g); err != nil {
		return Imported{}, err
	}
	if _, err := a.change(ctx, k, in.By, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		if now.Incarnation == i.Incarnation {
			return nil, nil
		}
		return a.started(u, domain.AuthorizationStarted{By: in.By, Scopes: g.Requested, At: a.Now()}), nil
	}); err != nil {
		return Imported{}, err
	}
	c, err := a.change(ctx, k, in.By, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		return now.Give(domain.Authorized{
			Incarnation: i.Incarnation, Issuer: g.Issuer, ClientID: g.ClientID, Requested: g.Requested, Scopes: g.Scopes, Account: in.Account, By: in.By,
			Grant: ref, CanRefresh: g.Refresh != "", Binding: g.Binding, Unproven: g.Unproven, At: a.Now(),
		}, in.ReplaceAccount)
	})
	if domain.KindOf(err) == domain.Conflict {
		a.destroy(ctx, owner, ref)
	}
	if err != nil {
		return Imported{}, err
	}
	if old := c.before.Grant; old.ID != "" {
		a.destroy(ctx, owner, old)
	}
	return Imported{Position: c.position, Proven: !g.Unproven}, nil
}

func (a *Authorizations) importedGrant(ctx context.Context, u Use, server domain.AuthorizationServer, in Import) (grant, error) {
	auth := u.Integration.Auth
	_, hasSecret := auth.Secrets[domain.ClientSecretField]
	g := grant{
		Access: in.Access.Reveal(), Refresh: in.Refresh.Reveal(), ExpiresAt: in.ExpiresAt, IssuedAt: a.Now(), Requested: auth.Scopes, Scopes: auth.Scopes,
		Binding: u.Integration.ConsentBinding(), Issuer: server.Issuer, TokenEndpoint: server.TokenEndpoint, RevocationEndpoint: server.RevocationEndpoint,
		ClientID: auth.ClientID, ClientMethod: a.Upstream.ClientAuthMethod(auth.ClientAuthMethod, server, hasSecret),
		RedirectURI: a.PublicURL() + CallbackPath, Resource: server.Resource, Unproven: true,
	}
	if in.Scopes != nil {
		g.Requested, g.Scopes = in.Scopes, in.Scopes
	}
	return g.withClientSecret(ctx, u)
}

// proven returns a grant after one refresh. One that was not answered stays unproven: its
// token may be spent, so the next refresh is a repetition.
func (a *Authorizations) proven(ctx context.Context, u Use, g grant) (grant, error) {
	answer := a.ask(context.WithoutCancel(ctx), u, g)
	if answer.Outcome == domain.TokenAnswerLost {
		answer = a.ask(context.WithoutCancel(ctx), u, g)
	}
	switch answer.Outcome {
	case domain.TokenGranted:
		return g.take(answer, time.Duration(u.Integration.Auth.DefaultTTLSeconds)*time.Second, a.Now()), nil
	case domain.TokenRefused:
		return g, domain.Errorf(domain.Conflict, "token_refused", "the authorization server does not take the refresh token: %s", strings.TrimRight(answer.Sentence, "."))
	case domain.TokenAnswerLost:
		g.Presented, g.Ambiguous = a.Now(), true
	case domain.TokenNotSent, domain.TokenBusy:
	}
	if g.Access == "" {
		g.ExpiresAt = a.Now() // there is nothing to use before a refresh
	}
	return g, nil
}
