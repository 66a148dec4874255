package connectors

import (
	"crypto/elliptic"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

// opened returns the header and the claims of an assertion that key signed.
func opened(t *testing.T, assertion string, alg jose.SignatureAlgorithm, key any) (jose.Header, map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(key)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header, claims
}

func sentForm(t *testing.T, a domain.Auth, from *issuer, key string) url.Values {
	t.Helper()
	base, _ := recorder(t)
	result := succeeds(t, onLoopback(t), byToken(calling(base, nil, nil), a, key))
	form := from.requests()[len(from.requests())-1].form(t)
	for _, member := range []string{"assertion", "client_assertion"} {
		if sent := form.Get(member); sent != "" && strings.Contains(asJSON(t, result), sent) {
			t.Error("the assertion is shown")
		}
	}
	return form
}

func TestASMARTBackendServiceAssertsWhatSMARTRequiresAndNoMore(t *testing.T) {
	from := issues(t, nil)
	key := ecKey(t, elliptic.P384())
	a := domain.Auth{Type: domain.SMARTBackendServices, ClientID: "app", TokenURL: from.url, AssertionAlgorithm: "ES384", Scopes: []string{"system/*.rs"}}
	ids := map[any]bool{}
	for _, audience := range []string{"", "https://ehr.example/token"} {
		a.AssertionAudience = audience
		form := sentForm(t, a, from, sec1(t, key))
		if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "system/*.rs" || len(form) != 4 ||
			form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("got %v", form)
		}
		header, claims := opened(t, form.Get("client_assertion"), jose.ES384, key.Public())
		if header.KeyID != thumbprint(t, key.Public()) || header.ExtraHeaders["typ"] != "JWT" || header.JSONWebKey != nil {
			t.Errorf("the header is %+v", header)
		}
		if members := slices.Sorted(maps.Keys(claims)); !slices.Equal(members, []string{"aud", "exp", "iat", "iss", "jti", "sub"}) {
			t.Errorf("the claims are %q", members)
		}
		wanted := audience
		if wanted == "" {
			wanted = from.url
		}
		lasts := claims["exp"].(float64) - float64(noon.Unix())
		if claims["iss"] != "app" || claims["sub"] != "app" || claims["aud"] != wanted || lasts != 240 || claims["iat"].(float64) != float64(noon.Unix()-30) {
			t.Errorf("got %v", claims)
		}
		ids[claims["jti"]] = true
	}
	if len(ids) != 2 {
		t.Error("two assertions have one id")
	}
}

func TestAJWTBearerGrantAssertsWhatItsFieldsHold(t *testing.T) {
	from := issues(t, nil)
	key := rsaKey(t)
	a := domain.Auth{
		Type: domain.JWTBearer, TokenURL: from.url, AssertionIssuer: "us", AssertionSubject: "amy", AssertionKID: "k1", AssertionAlgorithm: "RS512",
		TokenLifetimeSeconds: 3600, Scopes: []string{"a", "b"},
	}
	for _, inJWT := range []bool{false, true} {
		a.AssertionScopesInJWT = inJWT
		form := sentForm(t, a, from, pkcs8(t, key))
		header, claims := opened(t, form.Get("assertion"), jose.RS512, key.Public())
		lasts := claims["exp"].(float64) - claims["iat"].(float64)
		if header.KeyID != "k1" || claims["iss"] != "us" || claims["sub"] != "amy" || claims["aud"] != from.url || lasts != 3600 || claims["jti"] == "" ||
			form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			t.Errorf("got %v and %v in %v", header, claims, form)
		}
		if inJWT && (claims["scope"] != "a b" || form.Has("scope")) || !inJWT && (claims["scope"] != nil || form.Get("scope") != "a b") {
			t.Errorf("the scopes are in %v and %v", claims, form)
		}
	}
}
