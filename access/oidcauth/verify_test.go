package oidcauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/domain"
)

const everybody = `grants: [{when: {}, workspaces: [acme], permissions: [Integration.view]}]`

// refused requires that an error is a refusal with a code.
func refused(t *testing.T, err error, kind domain.Kind, code string) {
	t.Helper()
	var refusal *domain.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code, refusal.Message)
	require.Equal(t, kind, refusal.Kind)
}

func TestATokenIsTakenOnlyIfItsIssuerSignedItForThisServiceForNow(t *testing.T) {
	p := startProvider(t)
	right := p.publish("k1")
	o := p.open(t, everybody)
	now := o.clock.now()
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	typ := func(typ string) signer { s := right; s.typ = typ; return s }
	const path = "/v1/acme/integrations"
	for name, row := range map[string]struct {
		by     signer
		claims members
		code   string // "": it is taken
	}{
		"a right one":                       {right, nil, ""},
		"with the typ of most issuers":      {typ("JWT"), nil, ""},
		"with a long typ":                   {typ("application/at+jwt"), nil, ""},
		"with several audiences":            {right, members{"aud": []string{"other", "integrations"}}, ""},
		"for the URL of this service":       {right, members{"aud": "https://integrations.example.com"}, ""},
		"for the URL of the workspace":      {right, members{"aud": "https://integrations.example.com/v1/acme"}, ""},
		"just begun":                        {right, members{"nbf": now.Unix()}, ""},
		"expired":                           {right, members{"exp": now.Add(-time.Second).Unix()}, "token_expired"},
		"without an end":                    {right, members{"exp": nil}, "token_expired"},
		"not yet begun":                     {right, members{"nbf": now.Add(time.Hour).Unix()}, "token_invalid"},
		"of another issuer":                 {right, members{"iss": "https://other.example.com"}, "token_invalid"},
		"of the issuer with a slash":        {right, members{"iss": p.url + "/"}, "token_invalid"},
		"without an issuer":                 {right, members{"iss": nil}, "token_invalid"},
		"for another audience":              {right, members{"aud": "other"}, "token_invalid"},
		"without an audience":               {right, members{"aud": nil}, "token_invalid"},
		"for another workspace":             {right, members{"aud": "https://integrations.example.com/v1/acm"}, "token_invalid"},
		"for the MCP server only":           {right, members{"aud": "https://integrations.example.com/v1/acme/mcp"}, "token_invalid"},
		"for another service at our host":   {right, members{"aud": "https://integrations.example.com:8443"}, "token_invalid"},
		"for our URL over http":             {right, members{"aud": "http://integrations.example.com"}, "token_invalid"},
		"without a subject":                 {right, members{"sub": nil}, "token_invalid"},
		"of an invisible subject":           {right, members{"sub": "amy\u200b"}, "token_invalid"},
		"of a subject that turns the text":  {right, members{"sub": "\u202eamy"}, "token_invalid"},
		"bound to a key (DPoP)":             {right, members{"cnf": members{"jkt": "x"}}, "token_invalid"},
		"an ID token":                       {typ("JWT"), members{"nonce": "n"}, "token_invalid"},
		"an ID token of Keycloak":           {typ("JWT"), members{"typ": "ID"}, "token_invalid"},
		"a refresh token of Keycloak":       {typ("JWT"), members{"typ": "Refresh"}, "token_invalid"},
		"an access token of Keycloak":       {typ("JWT"), members{"typ": "Bearer", "nonce": "n"}, ""},
		"a logout token":                    {typ("logout+jwt"), nil, "token_invalid"},
		"of another key with the same id":   {newSigner(t, "k1"), nil, "token_invalid"},
		"of a key that is not published":    {newSigner(t, "k2"), nil, "token_invalid"},
		"without the id of its key":         {signer{right.key, "", right.algorithm, right.typ}, nil, ""},
		"with another algorithm of the key": {signer{weak, "k1", jose.RS256, "at+jwt"}, nil, "token_invalid"},
		"signed symmetrically":              {signer{[]byte(strings.Repeat("k", 64)), "k1", jose.HS256, "at+jwt"}, nil, "token_invalid"},
		"too long":                          {right, members{"x": strings.Repeat("x", 17<<10)}, "token_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := row.by.sign(t, p.claims(now, row.claims))
			require.True(t, oidcauth.IsJWT(raw))
			key, err := o.Authenticate(t.Context(), raw, path)
			if row.code != "" {
				refused(t, err, domain.Unauthenticated, row.code)
				require.Empty(t, key)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "oidc:amy", key.ID)
		})
	}
	t.Run("without a signature", func(t *testing.T) {
		parts := strings.Split(right.sign(t, p.claims(now, nil)), ".")
		for _, raw := range []string{
			parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + "." + parts[2], "ey..", "eyJ9.e30.e30",
		} {
			_, err := o.Authenticate(t.Context(), raw, path)
			refused(t, err, domain.Unauthenticated, "token_invalid")
		}
	})
	_, err = o.Authenticate(t.Context(), right.sign(t, p.claims(now, members{"aud": "https://integrations.example.com/v1/acme/mcp"})), "/v1/acme/mcp/crm")
	require.NoError(t, err, "below what it is for")
}

func TestKeysAreFetchedOnceForWhateverIsSent(t *testing.T) {
	p := startProvider(t)
	first := p.publish("k1")
	o := p.open(t, everybody)
	authenticate := func(by signer) error {
		_, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), nil)), "/")
		return err
	}
	require.NoError(t, authenticate(first))
	require.Equal(t, 1, p.requests())
	for n := range 20 {
		refused(t, authenticate(newSigner(t, fmt.Sprint("random", n))), domain.Unauthenticated, "token_invalid")
		refused(t, authenticate(newSigner(t, "k1")), domain.Unauthenticated, "token_invalid")
	}
	require.Equal(t, 1, p.requests(), "tokens with random key ids cause no requests")

	second := p.publish("k2")
	o.clock.pass(5 * time.Second)
	require.NoError(t, authenticate(second), "a new key is found")
	require.Equal(t, 2, p.requests())
	o.clock.pass(time.Minute)
	require.NoError(t, authenticate(first))
	require.Equal(t, 2, p.requests())
}

func TestAnIssuerThatIsDownIsNoReasonToRefuseATokenForever(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	p.answer(http.StatusBadGateway)
	o := p.open(t, everybody)
	authenticate := func() error {
		_, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), nil)), "/")
		return err
	}
	refused(t, authenticate(), domain.Unavailable, "issuer_unavailable")
	require.Contains(t, o.Status().IssuerProblem, "502")
	require.Zero(t, o.Status().Keys)
	p.answer(0)
	refused(t, authenticate(), domain.Unavailable, "issuer_unavailable")
	o.clock.pass(5 * time.Second)
	require.NoError(t, authenticate())
	require.Empty(t, o.Status().IssuerProblem)
	require.Equal(t, 1, o.Status().Keys)

	p.answer(http.StatusBadGateway)
	o.clock.pass(23 * time.Hour)
	require.NoError(t, authenticate(), "keys that are known are used for a day")
	o.clock.pass(2 * time.Hour)
	refused(t, authenticate(), domain.Unavailable, "issuer_unavailable")
}
