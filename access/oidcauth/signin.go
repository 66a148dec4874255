package oidcauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Client has persons sign in with the issuer: the authorization code flow (OpenID Connect
// Core 1.0, 3.1) with PKCE (RFC 7636).
type Client struct {
	Tokens *Tokens
	ID     string        // of this service at the issuer
	Secret domain.Secret // empty: a public client
}

// An attempt is what has to be known when a browser comes back.
type attempt struct {
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
}

// Issuer returns the URL of the issuer in force.
func (c Client) Issuer() string { return c.Tokens.Issuer() }

// Begin returns where to send a browser, and what Finish needs when it comes back with the
// state; only the browser may have that, sealed. With silent, the issuer asks the person
// nothing, and sends them back with an error if it would have to; then Begin returns an error
// while the issuer is not reachable.
func (c Client) Begin(ctx context.Context, callback, state string, silent bool) (to string, secret []byte, err error) {
	at, err := c.Tokens.Endpoints(ctx)
	if err == nil && silent {
		if problem := c.Tokens.Status().IssuerProblem; problem != "" {
			err = errors.New(problem)
		}
	}
	if err == nil && !domain.SecureURL(at.Authorization) {
		err = errors.New("the issuer names no authorization endpoint")
	}
	if err != nil {
		return "", nil, unavailable(err)
	}
	a := attempt{Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()}
	challenge := sha256.Sum256([]byte(a.Verifier))
	u, err := url.Parse(at.Authorization)
	if err != nil {
		return "", nil, unavailable(err)
	}
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": c.ID, "redirect_uri": callback, "scope": c.scope(), "state": state, "nonce": a.Nonce,
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	if silent {
		q.Set("prompt", "none")
	}
	u.RawQuery = q.Encode()
	secret, err = json.Marshal(a)
	return u.String(), secret, err
}

// scope asks for an ID token, and for the scopes that issuers give claims for: grants may need
// the name or the address of a person.
func (c Client) scope() string {
	all := []string{"openid", "profile", "email"}
	if at := c.Tokens.current.Load().issuer.scopes(); len(at) > 0 {
		all = slices.DeleteFunc(all, func(s string) bool { return s != "openid" && !slices.Contains(at, s) })
	}
	return strings.Join(all, " ")
}

// Finish takes what a browser came back with, whose state the caller has compared. It returns a
// credential for Tokens.AuthenticateSession. Its errors are of type *domain.Error.
func (c Client) Finish(ctx context.Context, callback string, secret []byte, came url.Values) (credential string, err error) {
	var a attempt
	if err := json.Unmarshal(secret, &a); err != nil || a.Nonce == "" || a.Verifier == "" {
		return "", domain.Errorf(domain.Invalid, "sign_in_unknown", "this sign-in was not begun here")
	}
	if issuer := came.Get("iss"); issuer != "" && issuer != c.Issuer() { // RFC 9207
		return "", domain.Errorf(domain.Unauthenticated, "issuer_mismatch", "the answer comes from another OpenID provider")
	}
	if code := came.Get("error"); code != "" {
		return "", domain.Errorf(domain.Unauthenticated, "sign_in_refused", "the OpenID provider answered %s", cleanError(code, came.Get("error_description")))
	}
	code := came.Get("code")
	if code == "" || len(code) > maxToken {
		return "", domain.Errorf(domain.Invalid, "sign_in_unknown", "the OpenID provider sent no code")
	}
	select {
	case c.Tokens.signIns <- struct{}{}:
		defer time.AfterFunc(time.Second, func() { <-c.Tokens.signIns })
	default:
		return "", domain.Errorf(domain.Unavailable, "too_many_sign_ins", "too many persons sign in at present; try again")
	}
	got, err := c.redeem(ctx, callback, code, a.Verifier)
	if err != nil {
		return "", err
	}
	v, err := c.Tokens.idToken(ctx, got.IDToken, c.ID, a.Nonce)
	if err == nil {
		err = c.addUserInfo(ctx, v, got.AccessToken)
	}
	if err != nil {
		return "", err
	}
	return c.Tokens.beginSession(v)
}

// maxSignIns is how many sign-ins begin in a second, so that who replays answers of the issuer
// causes it bounded load. Each makes up to two requests.
const maxSignIns = 16

// addUserInfo adds the claims that the issuer has for the person beside those of the ID token,
// which win: issuers may leave all but the subject out of that (OpenID Connect Core 1.0, 5.4).
func (c Client) addUserInfo(ctx context.Context, v verified, token string) error {
	at, err := c.Tokens.Endpoints(ctx)
	if err != nil || token == "" || !domain.SecureURL(at.UserInfo) {
		return nil //nolint:nilerr // it has none to ask
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.UserInfo, nil)
	if err != nil {
		return unavailable(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	status, data, err := c.send(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer is %d", status)
	}
	if err != nil {
		return unavailable(fmt.Errorf("read the claims of a person: %w", err))
	}
	more := Claims{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&more) != nil {
		return nil // it is a JWT, which was not asked for
	}
	if more["sub"] != v.Subject { // 5.3.2: it must be the same
		return domain.Errorf(domain.Unauthenticated, "sign_in_refused", "the OpenID provider gave the claims of another person")
	}
	for name, value := range more {
		if _, has := v.claims[name]; !has {
			v.claims[name] = value
		}
	}
	return nil
}

// SignOutURL returns where a browser is sent to sign out at the issuer too, and from there back;
// "" if the issuer has no such page (OpenID Connect RP-Initiated Logout 1.0).
func (c Client) SignOutURL(ctx context.Context, back string) string {
	at, err := c.Tokens.Endpoints(ctx)
	u, parseErr := url.Parse(at.EndSession)
	if err != nil || parseErr != nil || !domain.SecureURL(at.EndSession) {
		return ""
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	q.Set("post_logout_redirect_uri", back)
	u.RawQuery = q.Encode()
	return u.String()
}

// cleanError returns an error of the issuer as it may be shown: short, and in printable ASCII.
func cleanError(code, description string) string {
	shown := code
	if description != "" {
		shown += " (" + description + ")"
	}
	shown = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, shown)
	return shown[:min(len(shown), 300)]
}

func unavailable(err error) error {
	return domain.Wrap(fmt.Errorf("sign in: %w", err), domain.Unavailable, "issuer_unavailable", "the OpenID provider can't be reached; try again, or sign in with an API key")
}

// send sends a request to the issuer, and returns the status and the body of the answer.
func (c Client) send(r *http.Request) (int, []byte, error) {
	resp, err := c.Tokens.current.Load().issuer.client.Do(r) //nolint:gosec // the issuer of the operator, through the egress policy
	if err != nil {
		return 0, nil, err
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, data, errors.Join(err, resp.Body.Close())
}

// tokenAnswer is the answer of a token endpoint.
type tokenAnswer struct {
	IDToken     string `json:"id_token"`
	AccessToken string `json:"access_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// redeem exchanges a code for an ID token.
func (c Client) redeem(ctx context.Context, callback, code, verifier string) (got tokenAnswer, err error) {
	at, err := c.Tokens.Endpoints(ctx)
	if err == nil && !domain.SecureURL(at.Token) {
		err = errors.New("the issuer names no token endpoint")
	}
	if err != nil {
		return got, unavailable(err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	secret := c.Secret.Reveal()
	basic := secret != "" && (len(at.AuthMethods) == 0 || slices.Contains(at.AuthMethods, "client_secret_basic"))
	if !basic {
		form.Set("client_id", c.ID)
	}
	if secret != "" && !basic {
		form.Set("client_secret", secret)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return got, unavailable(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if basic { // RFC 6749, 2.3.1
		r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(secret))
	}
	status, data, err := c.send(r)
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("the answer is %d", status)
	}
	if err != nil {
		return got, unavailable(err)
	}
	_ = json.Unmarshal(data, &got) // what it lacks is reported below
	switch {
	case got.Error != "":
		return got, domain.Errorf(domain.Unauthenticated, "sign_in_refused", "the OpenID provider answered %s", cleanError(got.Error, got.Description))
	case status != http.StatusOK || got.IDToken == "":
		return got, domain.Errorf(domain.Unauthenticated, "sign_in_refused", "the OpenID provider gave no ID token")
	}
	return got, nil
}
