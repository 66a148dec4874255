package oidcauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/domain"
)

const callback = "https://integrations.example.com/console/.provider/callback"

// signIn goes through a sign-in at the provider, whose answers a test sets.
type signIn struct {
	p      *provider
	o      opened
	by     signer
	client oidcauth.Client
}

func startSignIn(t *testing.T, mapping string) *signIn {
	t.Helper()
	s := &signIn{p: startProvider(t)}
	s.by = s.p.publish("k1")
	s.by.typ = "JWT"
	s.o = s.p.open(t, mapping)
	s.client = oidcauth.Client{Tokens: s.o.Tokens, ID: "console", Secret: domain.NewSecret("s3/cret")}
	return s
}

// finish begins a sign-in, has the provider answer with an ID token whose claims are changed, and
// finishes it with what the browser came back with.
func (s *signIn) finish(t *testing.T, changes members, came url.Values) (string, error) {
	t.Helper()
	to, secret, err := s.client.Begin(t.Context(), callback, "a-state", false)
	require.NoError(t, err)
	at, err := url.Parse(to)
	require.NoError(t, err)
	q := at.Query()
	require.Equal(t, []string{s.p.url + "/authorize", "code", "console", callback, "openid profile email", "a-state", "S256", ""},
		[]string{strings.TrimSuffix(to, "?"+at.RawQuery), q.Get("response_type"), q.Get("client_id"), q.Get("redirect_uri"), q.Get("scope"), q.Get("state"), q.Get("code_challenge_method"), q.Get("prompt")})
	claims := s.p.claims(s.o.clock.now(), members{"aud": "console", "nonce": q.Get("nonce")})
	for name, value := range changes {
		claims[name] = value
	}
	s.p.mu.Lock()
	if s.p.answers == nil || s.p.answers["error"] == nil {
		s.p.answers = members{"id_token": s.by.sign(t, claims), "access_token": "at", "token_type": "Bearer"}
	}
	s.p.mu.Unlock()
	if came == nil {
		came = url.Values{"code": {"the code"}, "iss": {s.p.url}}
	}
	credential, err := s.client.Finish(t.Context(), callback, secret, came)
	if err == nil {
		sum := sha256.Sum256([]byte(s.p.form.Get("code_verifier")))
		require.Equal(t, q.Get("code_challenge"), base64.RawURLEncoding.EncodeToString(sum[:]))
		require.Equal(t, []string{"authorization_code", "the code", callback, ""}, []string{s.p.form.Get("grant_type"), s.p.form.Get("code"), s.p.form.Get("redirect_uri"), s.p.form.Get("client_secret")})
		require.Equal(t, [2]string{"console", "s3%2Fcret"}, s.p.client)
	}
	return credential, err
}

func TestAPersonSignsInWithTheIssuerAndMayDoWhatTheGrantsPermitThem(t *testing.T) {
	s := startSignIn(t, `grants: [{when: {groups: "team-*"}, workspaces: ["{1}"], permissions: [Integration.view]}]`)
	credential, err := s.finish(t, members{"groups": []string{"team-acme", "everyone"}, "address": strings.Repeat("long", 4000/4)}, nil)
	require.NoError(t, err)
	require.True(t, oidcauth.IsSession(credential) && !oidcauth.IsJWT(credential))
	require.Less(t, len(credential), 400, "what no grant asks for is not kept")
	key, err := s.o.AuthenticateSession(credential)
	require.NoError(t, err)
	require.Equal(t, "oidc:amy", key.ID)
	require.Equal(t, []any{true, false, true, false}, []any{key.MayEnter("acme"), key.MayEnter("everyone"), key.May(access.View), key.May(access.Update)})
	_, err = s.o.Authenticate(t.Context(), credential, "/v1/acme/integrations")
	refused(t, err, domain.Unauthenticated, "token_invalid")

	s.o.clock.pass(oidcauth.SessionFor - time.Second)
	_, err = s.o.AuthenticateSession(credential)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.o.file, []byte(`grants: [{when: {groups: "team-*"}, workspaces: ["{1}"], permissions: [Integration.update]}]`), 0o600))
	s.o.Reload(t.Context())
	key, err = s.o.AuthenticateSession(credential)
	require.NoError(t, err)
	require.False(t, key.May(access.View), "the grants in force decide")
	s.o.clock.pass(time.Second)
	_, err = s.o.AuthenticateSession(credential)
	refused(t, err, domain.Unauthenticated, "session_invalid")

	other := startSignIn(t, everybody)
	_, err = other.o.AuthenticateSession(credential)
	refused(t, err, domain.Unauthenticated, "session_invalid")
	credential, err = other.finish(t, nil, nil)
	require.NoError(t, err)
	for _, forged := range []string{credential[:len(credential)-4] + "AAAA", "its_", "its_!", credential + "A"} {
		_, err = other.o.AuthenticateSession(forged)
		refused(t, err, domain.Unauthenticated, "session_invalid")
	}
}

func TestASignInIsForOneClientAndOneBrowser(t *testing.T) {
	s := startSignIn(t, everybody)
	for name, changes := range map[string]members{
		"another client": {"aud": "other"}, "another nonce": {"nonce": "n2"}, "no nonce": {"nonce": ""}, "issued to another": {"aud": []string{"console", "other"}, "azp": "other"},
		"for the API itself": {"aud": "integrations"}, "another issuer": {"iss": "https://other.example.com"}, "bound to a key": {"cnf": members{"jkt": "x"}}, "no subject": {"sub": ""},
	} {
		_, err := s.finish(t, changes, nil)
		require.Error(t, err, name)
		refused(t, err, domain.Unauthenticated, "token_invalid")
	}
	_, err := s.finish(t, members{"exp": s.o.clock.now().Add(-time.Minute).Unix()}, nil)
	refused(t, err, domain.Unauthenticated, "token_expired")
	_, err = s.finish(t, nil, url.Values{"code": {"the code"}, "iss": {"https://evil.example"}})
	refused(t, err, domain.Unauthenticated, "issuer_mismatch")
	_, err = s.finish(t, nil, url.Values{"error": {"access_denied"}, "error_description": {"She said\nno <b>"}})
	refused(t, err, domain.Unauthenticated, "sign_in_refused")
	require.ErrorContains(t, err, "access_denied (She saidno <b>)")
	_, err = s.finish(t, nil, url.Values{"iss": {s.p.url}})
	refused(t, err, domain.Invalid, "sign_in_unknown")
	s.by = newSigner(t, "k1")
	s.by.typ = "JWT"
	_, err = s.finish(t, nil, nil)
	refused(t, err, domain.Unauthenticated, "token_invalid")
	s.p.answers = members{"error": "invalid_grant", "error_description": "the code was used"}
	_, err = s.finish(t, nil, nil)
	refused(t, err, domain.Unauthenticated, "sign_in_refused")
	require.ErrorContains(t, err, "the code was used")
	s.p.answer(http.StatusBadGateway)
	_, err = s.client.Finish(t.Context(), callback, []byte(`{"n":"n","v":"v"}`), url.Values{"code": {"c"}})
	refused(t, err, domain.Unavailable, "issuer_unavailable")
}

func TestClaimsThatAnIDTokenLeavesOutAreAskedFor(t *testing.T) {
	s := startSignIn(t, `grants: [{when: {groups: admins}, workspaces: [acme], permissions: [Workspace.admin]}]`)
	s.p.person = members{"sub": "amy", "groups": []string{"admins"}}
	credential, err := s.finish(t, nil, nil)
	require.NoError(t, err)
	key, err := s.o.AuthenticateSession(credential)
	require.NoError(t, err)
	require.True(t, key.May(access.Admin))
	_, err = s.finish(t, members{"groups": []string{"guests"}}, nil)
	refused(t, err, domain.Forbidden, "no_grant") // those of the ID token win
	s.p.person = members{"sub": "bob", "groups": []string{"admins"}}
	_, err = s.finish(t, nil, nil)
	refused(t, err, domain.Unauthenticated, "sign_in_refused")
	s.p.person = members{"sub": "amy", "groups": []string{"guests"}}
	_, err = s.finish(t, nil, nil)
	refused(t, err, domain.Forbidden, "no_grant")
}

func TestAnIssuerThatCantBeReachedConfirmsNothingSilently(t *testing.T) {
	s := startSignIn(t, everybody)
	s.p.answer(http.StatusBadGateway)
	_, _, err := s.client.Begin(t.Context(), callback, "a-state", false)
	refused(t, err, domain.Unavailable, "issuer_unavailable")
	s.p.answer(0)
	s.o.clock.pass(time.Minute)
	to, _, err := s.client.Begin(t.Context(), callback, "a-state", true)
	require.NoError(t, err)
	require.Contains(t, to, "prompt=none")
	require.Empty(t, s.client.SignOutURL(t.Context(), "https://integrations.example.com/"), "it has no such page")
}

func TestBrowsersThatComeBackCauseTheIssuerBoundedLoad(t *testing.T) {
	s := startSignIn(t, everybody)
	_, secret, err := s.client.Begin(t.Context(), callback, "a-state", false)
	require.NoError(t, err)
	s.p.answers = members{"error": "invalid_grant"}
	var busy atomic.Int32
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			_, err := s.client.Finish(t.Context(), callback, secret, url.Values{"code": {"replayed"}})
			if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Code == "too_many_sign_ins" {
				busy.Add(1)
			}
		})
	}
	all.Wait()
	require.Positive(t, busy.Load())
}
