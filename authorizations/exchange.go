package authorizations

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// exchange sends a code to the token endpoint, once, keeps the tokens and records the
// consent. It returns the scopes that the person has not given.
func (a *Authorizations) exchange(ctx context.Context, t attempt, code string, find Finder) ([]string, error) {
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil {
		return nil, err
	}
	i, k := u.Integration, t.key()
	if i.Incarnation != t.Incarnation || !i.Consents() || i.ConsentBinding() != t.Binding {
		return nil, domain.Errorf(domain.Conflict, "integration_changed", "the integration has changed since this link was made; ask for another one")
	}
	owner := i.Owner()
	client := domain.OAuthClient{ID: t.ClientID, AuthMethod: t.ClientMethod}
	if t.Registered {
		if client.Secret, err = a.registeredSecret(ctx, owner, t); err != nil {
			return nil, err
		}
	}
	verifier, ok := a.Vault.FromOpaque(verifierPurpose, t.Verifier)
	if !ok {
		return nil, noSuchAttempt()
	}
	params := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {t.RedirectURI}, "code_verifier": {verifier}}
	if t.Server.Resource != "" {
		params.Set("resource", t.Server.Resource)
	}
	within, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	answer := a.Upstream.RequestToken(within, domain.TokenRequest{
		Integration: i, Keyring: u.Keyring, Endpoint: t.Server.TokenEndpoint, Client: client, Params: params, Secrets: []string{"code", "code_verifier"},
	})
	if answer.Outcome != domain.TokenGranted {
		return nil, a.notExchanged(ctx, owner, t, answer)
	}
	g := grant{
		Requested: t.Scopes, Scopes: t.Scopes, Binding: t.Binding, Issuer: t.Server.Issuer, TokenEndpoint: t.Server.TokenEndpoint,
		RevocationEndpoint: t.Server.RevocationEndpoint, ClientID: client.ID, ClientMethod: client.AuthMethod,
		ClientSecret: client.Secret.Reveal(), RedirectURI: t.RedirectURI, Resource: t.Server.Resource,
	}.take(answer, time.Duration(i.Auth.DefaultTTLSeconds)*time.Second, a.Now())
	return a.keep(ctx, u, k, t, g, answer)
}

// registeredSecret returns the secret of the client of an attempt. One that was registered
// again since is another client, which the code was not given to.
func (a *Authorizations) registeredSecret(ctx context.Context, owner domain.Owner, t attempt) (domain.Secret, error) {
	text, _, err := a.Vault.OpenLatest(ctx, owner, clientRef(t.Server, t.RedirectURI))
	var known registration
	if err == nil {
		err = json.Unmarshal([]byte(text.Reveal()), &known)
	}
	if err == nil && known.ID != t.ClientID {
		err = domain.Errorf(domain.Conflict, "client_replaced", "the client was registered again after this link was made; ask for another one")
	}
	return domain.NewSecret(known.Secret), err
}

// notExchanged returns the error of a code that was not good for a token. A client that the
// server does not know any more is forgotten, so that the next attempt registers another.
func (a *Authorizations) notExchanged(ctx context.Context, owner domain.Owner, t attempt, answer domain.TokenAnswer) error {
	if answer.Code == "invalid_client" && answer.Outcome == domain.TokenRefused && t.Registered {
		if err := a.Vault.Destroy(ctx, owner, clientRef(t.Server, t.RedirectURI)); err != nil {
			a.Log.WarnContext(ctx, "forgetting a registered client failed", slog.Any("err", err))
		}
	}
	code := answer.Code
	if code == "" {
		code = "token_refused"
	}
	return domain.Errorf(domain.Conflict, code, "%s", strings.TrimRight(answer.Sentence, "."))
}

// keep seals a grant, records the consent, and destroys what it replaces. What is not
// recorded is destroyed.
func (a *Authorizations) keep(ctx context.Context, u Use, k key, t attempt, g grant, answer domain.TokenAnswer) ([]string, error) {
	owner := u.Integration.Owner()
	ref := domain.SecretRef{ID: grantSecret + k.hash + "-" + a.NewID(), Field: "authorization", Version: 1, UpdatedAt: a.Now()}
	missing := domain.Authorization{Scopes: g.Scopes}.MissingScopes(g.Requested)
	if len(missing) > 0 && u.Integration.Auth.RequireAllScopes {
		return missing, domain.Errorf(domain.Conflict, "scopes_missing", "not everything was permitted that is needed: %s is missing", strings.Join(missing, ", "))
	}
	earlier, err := a.keepRefresh(ctx, owner, k, t, &g, answer)
	if err != nil {
		return nil, err
	}
	if err := a.seal(ctx, owner, ref, g); err != nil {
		return nil, err
	}
	before, _, err := a.change(ctx, k, func(state domain.Authorization) (domain.AuthorizationEvent, error) {
		return state.Give(domain.Authorized{
			Incarnation: t.Incarnation, Issuer: g.Issuer, ClientID: g.ClientID, Requested: g.Requested, Scopes: g.Scopes, Account: answer.Account, By: t.By,
			Grant: ref, CanRefresh: g.Refresh != "", Binding: g.Binding, At: a.Now(),
		}, t.ReplaceAccount)
	})
	if domain.KindOf(err) == domain.Conflict { // an outcome that is unknown leaves it to the sweep
		a.destroy(ctx, owner, ref)
	}
	if err != nil {
		return nil, err
	}
	if old := before.Grant; old.ID != "" && old.ID != earlier.ID {
		a.destroy(ctx, owner, old)
	}
	if earlier.ID != "" {
		a.destroy(ctx, owner, earlier)
	}
	return missing, nil
}

// keepRefresh gives a grant without a refresh token that of the present one, if the same
// account has given it to the same client at the same server. It returns the reference of
// the present one.
func (a *Authorizations) keepRefresh(ctx context.Context, owner domain.Owner, k key, t attempt, g *grant, answer domain.TokenAnswer) (domain.SecretRef, error) {
	state, _, err := a.loadLatest(ctx, k)
	if err != nil || state.Grant.ID == "" || state.Incarnation != t.Incarnation {
		return domain.SecretRef{}, err
	}
	same := answer.Account != "" && answer.Account == state.Account && state.ClientID == g.ClientID && state.Issuer == g.Issuer && state.State == domain.IsAuthorized
	if g.Refresh == "" && same {
		if old, _, err := a.openLatest(ctx, owner, state.Grant); err == nil && old.TokenEndpoint == g.TokenEndpoint {
			g.Refresh = old.Refresh
		}
	}
	return state.Grant, nil
}

// destroy destroys a secret; the sweep does it if that fails.
func (a *Authorizations) destroy(ctx context.Context, owner domain.Owner, ref domain.SecretRef) {
	if err := a.Vault.Destroy(context.WithoutCancel(ctx), owner, ref); err != nil {
		a.Log.WarnContext(ctx, "destroying tokens failed; the sweep destroys them later", slog.String("integration_id", string(owner.ID)), slog.Any("err", err))
	}
}
