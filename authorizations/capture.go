package authorizations

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// givenValues returns the values of the account that the caller who asks for a link gives, and
// refuses what is none, or missing although the authorization server can't be found without.
func givenValues(auth domain.Auth, given map[string]string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := "/account/" + domain.EscapePointer(name)
		c, known := auth.Capture[name]
		if !known || c.From == domain.FromToken || c.From == domain.FromIDToken {
			return nil, domain.Refuse(at, "account_unknown", "is no value that auth captures from the start, the callback or the identity call")
		}
		value, ok := c.Take(given[name])
		if !ok {
			return nil, domain.Refuse(at, "account_value_refused", "is not a value that this may have")
		}
		values[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(auth.Capture)) {
		if c := auth.Capture[name]; c.From == domain.FromStart && !c.Optional && values[name] == "" {
			return nil, domain.Refuse("/account/"+domain.EscapePointer(name), "required", "is required: nobody can sign in without")
		}
	}
	return values, nil
}

// atStart fills where a person is sent to.
func atStart(auth domain.Auth, server *domain.AuthorizationServer, values map[string]string) error {
	filled, err := auth.FillURL(server.AuthorizationEndpoint, values)
	if err != nil {
		return domain.Refuse("/account", "required", "must have what the authorization URL needs: %v", err)
	}
	server.AuthorizationEndpoint = filled
	return nil
}

// callbackValues returns the values that a person came back with, beside those that the
// attempt was started with: what was given in advance must come back the same.
func (t attempt) callbackValues(auth domain.Auth, q url.Values) (map[string]string, error) {
	values := maps.Clone(t.Account)
	if values == nil {
		values = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(auth.Capture)) {
		c := auth.Capture[name]
		given := q[c.Path]
		switch {
		case c.From != domain.FromCallback:
			continue
		case len(given) == 0 && (c.Optional || values[name] != ""):
			continue
		case len(given) != 1:
			return nil, domain.Errorf(domain.Conflict, "account_value_missing", "the authorization server did not send the value %s once", printable(c.Path, 64))
		}
		value, ok := c.Take(given[0])
		switch {
		case !ok:
			return nil, domain.Errorf(domain.Conflict, "account_value_refused", "the authorization server sent a value of %s that it must not have", printable(c.Path, 64))
		case values[name] != "" && values[name] != value:
			return nil, domain.Errorf(domain.Conflict, "account_mismatch", "the value of %s is not the one that the link was made for", printable(c.Path, 64))
		}
		values[name] = value
	}
	return values, nil
}

// checkHMAC checks the parameter with an HMAC of the others, as Shopify has it: in hex, by
// SHA-256 with the secret of the client, over the other parameters, sorted.
func checkHMAC(ctx context.Context, u Use, q url.Values) error {
	auth := u.Integration.Auth
	if auth.CallbackHMAC == "" {
		return nil
	}
	refused := domain.Errorf(domain.Conflict, "callback_hmac_invalid", "what came back is not signed by the authorization server")
	ref, set := auth.Secrets[domain.ClientSecretField]
	if !set || u.Keyring == nil {
		return domain.Errorf(domain.Conflict, "client_secret_missing", "the client secret is not set, with which the answer of the authorization server is checked")
	}
	given, err := hex.DecodeString(q.Get(auth.CallbackHMAC))
	if err != nil || len(q[auth.CallbackHMAC]) != 1 {
		return refused
	}
	secret, err := u.Keyring(ctx, ref)
	if err != nil {
		return err
	}
	rest := maps.Clone(q)
	delete(rest, auth.CallbackHMAC)
	delete(rest, "signature")
	var plain []string
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		escaped := strings.NewReplacer("%", "%25", "&", "%26")
		plain = append(plain, strings.ReplaceAll(escaped.Replace(name), "=", "%3D")+"="+escaped.Replace(rest.Get(name)))
	}
	for _, message := range []string{rest.Encode(), strings.Join(plain, "&")} { // libraries of the vendor do either
		m := hmac.New(sha256.New, []byte(secret.Reveal()))
		_, _ = m.Write([]byte(message))
		if hmac.Equal(m.Sum(nil), given) {
			return nil
		}
	}
	return refused
}

// identify completes the values of a grant: those of the answer with the tokens, and those
// of the call that asks who has signed in.
func (a *Authorizations) identify(ctx context.Context, u Use, t attempt, values map[string]string, g *grant, answer *domain.TokenAnswer) error {
	auth := *u.Integration.Auth
	maps.Copy(values, answer.Captured)
	if unfit := answer.Unfit; len(unfit) > 0 {
		return unfitValue(unfit[0])
	}
	if auth.IdentityCall != nil {
		at, err := auth.FillURL(auth.IdentityCall.URL, values)
		if err != nil {
			return err
		}
		who, err := a.Upstream.Identify(ctx, u.Integration, at, answer.Access)
		if domain.KindOf(err) == domain.Unavailable { // it reads, so once more is safe
			who, err = a.Upstream.Identify(ctx, u.Integration, at, answer.Access)
		}
		switch {
		case err != nil:
			return domain.Errorf(domain.Conflict, "identity_call_failed", "%s", strings.TrimRight(err.Error(), "."))
		case len(who.Unfit) > 0:
			return unfitValue(who.Unfit[0])
		}
		if who.Account != "" {
			answer.Account = who.Account
		}
		if err := chosen(t.Account, &who); err != nil {
			return err
		}
		for name := range who.Choices { // what was wished for is no value until it is one of these
			delete(values, name)
		}
		maps.Copy(values, who.Captured)
		g.Choices = who.Choices
	}
	for _, name := range slices.Sorted(maps.Keys(auth.Capture)) {
		if c := auth.Capture[name]; values[name] == "" && !c.Optional && len(g.Choices[name]) == 0 {
			return domain.Errorf(domain.Conflict, "account_value_missing", "the authorization server gave no value %s of the account", name)
		}
	}
	g.Captured = values
	filled, err := auth.FillURL(g.RevocationEndpoint, values)
	g.RevocationEndpoint = filled
	return err
}

func unfitValue(name string) error {
	return domain.Errorf(domain.Conflict, "account_value_refused", "the value %s of the account is none that it may have", name)
}

// chosen makes the choices that the link was made for.
func chosen(wanted map[string]string, who *domain.Identity) error {
	for name, value := range wanted {
		choices, several := who.Choices[name]
		switch one, single := who.Captured[name]; {
		case single && one != value, several && !slices.ContainsFunc(choices, func(c domain.Choice) bool { return c.Value == value }):
			return domain.Errorf(domain.Conflict, "account_mismatch", "the account has not the value of %s that the link was made for", name)
		case several:
			who.Captured[name] = value
		}
	}
	return nil
}

// open choices are those that nobody has made yet.
func (g grant) open() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(g.Choices)) {
		if g.Captured[name] == "" {
			names = append(names, name)
		}
	}
	return names
}

// signedIn returns what a call uses of a grant.
func (g grant) signedIn() domain.SignedIn {
	in := domain.SignedIn{Access: domain.NewSecret(g.Access), Captured: g.Captured}
	if g.Proved {
		in.Proof = domain.NewSecret(g.ProofKey)
	}
	if open := g.open(); len(open) > 0 {
		in.Unchosen = fmt.Sprintf("the account has %d values of %s, and nobody has chosen one: set account of the authorization", len(g.Choices[open[0]]), open[0])
	}
	return in
}

// Choose chooses among the values of an account that has several, such as its sites. It may
// be done again. It refuses with NotFound when nobody has signed in, and with Invalid what is
// not among them.
func (a *Authorizations) Choose(ctx context.Context, u Use, wanted map[string]string) error {
	return a.choose(ctx, u.Integration, a.key(u), wanted)
}

func (a *Authorizations) choose(ctx context.Context, i domain.Integration, k key, wanted map[string]string) error {
	for range attemptsToChange {
		state, _, err := a.loadLatest(ctx, k)
		if err != nil {
			return err
		}
		if state.Grant.ID == "" || state.Incarnation != i.Incarnation {
			return domain.Errorf(domain.NotFound, "authorization_not_found", "there is no such authorization")
		}
		g, revision, err := a.openLatest(ctx, i.Owner(), state.Grant)
		if err != nil {
			return err
		}
		if g, err = g.choose(wanted); err != nil {
			return err
		}
		if _, err = a.replace(ctx, i.Owner(), state.Grant, g, revision); !errors.Is(err, vault.ErrReplaced) {
			return err
		}
	}
	return domain.Errorf(domain.Conflict, "changing_too_fast", "the authorization is being changed too often; try again")
}

func (g grant) choose(wanted map[string]string) (grant, error) {
	values := maps.Clone(g.Captured)
	if values == nil {
		values = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.ContainsFunc(g.Choices[name], func(c domain.Choice) bool { return c.Value == wanted[name] }) {
			return g, domain.Refuse("/account/"+domain.EscapePointer(name), "account_value_refused", "is not among the values that the account has; choices lists them")
		}
		values[name] = wanted[name]
	}
	g.Captured = values
	return g, nil
}
