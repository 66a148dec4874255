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
// consent. It returns the scopes that the person has not given, and what must be chosen. What
// came back beside the code is checked before anything is sent.
func (a *Authorizations) exchange(ctx context.Context, t *attempt, q url.Values, find Finder) ([]string, map[string][]domain.Choice, error) {
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil {
		return nil, nil, err
	}
	i := u.Integration
	if !t.fits(i) {
		return nil, nil, domain.Errorf(domain.Conflict, "integration_changed", "the integration has changed since this link was made; ask for another one")
	}
	if err := checkHMAC(ctx, u, q); err != nil {
		return nil, nil, err
	}
	values, err := t.callbackValues(*i.Auth, q)
	if err != nil {
		return nil, nil, err
	}
	endpoint, err := i.Auth.FillURL(t.Server.TokenEndpoint, values)
	if err != nil {
		return nil, nil, err
	}
	g, answer, err := a.send(ctx, u, *t, endpoint, q.Get("code"))
	if err != nil {
		return nil, nil, err
	}
	g.RevocationEndpoint = t.Server.RevocationEndpoint
	if err := a.identify(ctx, u, *t, values, &g, &answer); err != nil {
		return nil, nil, err
	}
	missing := domain.Authorization{Scopes: g.Scopes}.MissingScopes(g.Requested)
	if len(missing) > 0 && i.Auth.RequireAllScopes {
		return missing, nil, domain.Errorf(domain.Conflict, "scopes_missing", "not everything was permitted that is needed: %s is missing", strings.Join(missing, ", "))
	}
	ref := a.newGrant(t.key())
	if t.Confirm {
		t.Held = &heldGrant{Grant: ref, Account: answer.Account}
		return missing, nil, a.seal(ctx, i.Owner(), ref, g)
	}
	if err := a.keep(ctx, u, *t, ref, &g, answer.Account, true); err != nil {
		return missing, nil, err
	}
	choices := map[string][]domain.Choice{}
	for _, name := range g.open() {
		choices[name] = g.Choices[name]
	}
	return missing, choices, nil
}

// send sends a code to a token endpoint.
func (a *Authorizations) send(ctx context.Context, u Use, t attempt, endpoint, code string) (grant, domain.TokenAnswer, error) {
	i, owner := u.Integration, u.Integration.Owner()
	var err error
	client := domain.OAuthClient{ID: t.ClientID, AuthMethod: t.ClientMethod}
	if t.Registered {
		if client.Secret, err = a.registeredSecret(ctx, owner, t); err != nil {
			return grant{}, domain.TokenAnswer{}, err
		}
	}
	verifier, ok := a.Vault.FromOpaque(verifierPurpose, t.Verifier)
	if !ok {
		return grant{}, domain.TokenAnswer{}, noSuchAttempt()
	}
	params := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {t.RedirectURI}, "code_verifier": {verifier}}
	if t.Server.Resource != "" {
		params.Set("resource", t.Server.Resource)
	}
	proof, err := proofKey(*i.Auth)
	if err != nil {
		return grant{}, domain.TokenAnswer{}, err
	}
	within, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	answer := a.Upstream.RequestToken(within, domain.TokenRequest{
		Integration: i, Keyring: u.Keyring, Endpoint: endpoint, Client: client, Params: params, Secrets: []string{"code", "code_verifier"}, Proof: domain.NewSecret(proof),
	})
	if answer.Outcome != domain.TokenGranted {
		return grant{}, answer, a.notExchanged(ctx, owner, t, answer)
	}
	g := grant{
		Requested: t.Scopes, Scopes: t.Scopes, Binding: t.Binding, Issuer: t.Server.Issuer, TokenEndpoint: endpoint,
		ClientID: client.ID, ClientMethod: client.AuthMethod, Registered: t.Registered, ClientSecret: client.Secret.Reveal(), RedirectURI: t.RedirectURI, Resource: t.Server.Resource, ProofKey: proof,
	}.take(answer, time.Duration(i.Auth.DefaultTTLSeconds)*time.Second, a.Now())
	g, err = g.withClientSecret(ctx, u)
	return g, answer, err
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
		a.forgetClient(ctx, owner, clientRef(t.Server, t.RedirectURI), t.ClientID)
	}
	if hint := resourceHint(answer.Sentence); hint != "" {
		return domain.Errorf(domain.Conflict, "resource_refused", "%s", strings.TrimRight(hint, "."))
	}
	code := answer.Code
	if code == "" {
		code = "token_refused"
	}
	return domain.Errorf(domain.Conflict, code, "%s", strings.TrimRight(answer.Sentence, "."))
}

// keep seals a grant, unless it is sealed already, records the consent, and destroys what it
// replaces. What is not recorded is destroyed.
func (a *Authorizations) keep(ctx context.Context, u Use, t attempt, ref domain.SecretRef, g *grant, account string, seal bool) error {
	owner, k := u.Integration.Owner(), t.key()
	earlier, err := a.keepEarlier(ctx, owner, t, g, account)
	if err != nil {
		return err
	}
	if seal {
		err = a.seal(ctx, owner, ref, *g)
	} else {
		_, revision, openErr := a.openLatest(ctx, owner, ref)
		if err = openErr; err == nil {
			_, err = a.replace(ctx, owner, ref, *g, revision)
		}
	}
	if err != nil {
		return err
	}
	c, err := a.change(ctx, k, t.By, func(state domain.Authorization) (domain.AuthorizationEvent, error) {
		return state.Give(domain.Authorized{
			Incarnation: t.Incarnation, Issuer: g.Issuer, ClientID: g.ClientID, Requested: g.Requested, Scopes: g.Scopes, Account: account, By: t.By,
			Grant: ref, CanRefresh: g.Refresh != "", Binding: g.Binding, At: a.Now(),
		}, t.ReplaceAccount)
	})
	if domain.KindOf(err) == domain.Conflict { // an outcome that is unknown leaves it to the sweep
		a.destroy(ctx, owner, ref)
	}
	if err != nil {
		return err
	}
	if old := c.before.Grant; old.ID != "" && old.ID != earlier.ID {
		a.destroy(ctx, owner, old)
	}
	if earlier.ID != "" {
		a.destroy(ctx, owner, earlier)
	}
	return nil
}

// keepEarlier gives a grant without a refresh token that of the present one, if the same
// account has given it to the same client at the same server, and makes the choices that
// were made there. It returns the reference of the present one.
func (a *Authorizations) keepEarlier(ctx context.Context, owner domain.Owner, t attempt, g *grant, account string) (domain.SecretRef, error) {
	state, _, err := a.loadLatest(ctx, t.key())
	if err != nil || state.Grant.ID == "" || state.Incarnation != t.Incarnation {
		return domain.SecretRef{}, err
	}
	sameAccount := account != "" && account == state.Account
	same := sameAccount && state.ClientID == g.ClientID && state.Issuer == g.Issuer && state.State == domain.IsAuthorized
	open := g.open()
	if g.Refresh == "" && same || sameAccount && len(open) > 0 {
		old, _, err := a.openLatest(ctx, owner, state.Grant)
		if err != nil {
			return state.Grant, nil
		}
		if g.Refresh == "" && same && old.TokenEndpoint == g.TokenEndpoint && old.ProofKey == g.ProofKey {
			g.Refresh = old.Refresh
		}
		for _, name := range open {
			if next, err := g.choose(map[string]string{name: old.Captured[name]}); err == nil {
				*g = next
			}
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
