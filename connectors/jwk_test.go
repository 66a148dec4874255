package connectors

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

func newRSA(bits int) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return key
	})
}

// Making a key takes a while, so tests share these.
var oneRSA, anotherRSA = newRSA(2048), newRSA(2048)

func rsaKey(t *testing.T) *rsa.PrivateKey  { t.Helper(); return oneRSA() }
func rsaKey2(t *testing.T) *rsa.PrivateKey { t.Helper(); return anotherRSA() }

func ecKey(t *testing.T, on elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(on, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func asPEM(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return asPEM("PRIVATE KEY", der, err)
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	return asPEM("EC PRIVATE KEY", der, err)
}

func jwk(t *testing.T, key any, kid string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func thumbprint(t *testing.T, key any) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func TestThePublicPartOfAKeyIsShownAndNothingElse(t *testing.T) {
	r, e := rsaKey(t), ecKey(t, elliptic.P384())
	for what, row := range map[string]struct {
		algorithm, text, named, kid string
		members                     []string
	}{
		"PKCS #8, RSA":       {"RS384", pkcs8(t, r), "", thumbprint(t, r.Public()), []string{"alg", "e", "kid", "kty", "n", "use"}},
		"PKCS #1":            {"RS256", asPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), "", thumbprint(t, r.Public()), []string{"alg", "e", "kid", "kty", "n", "use"}},
		"PKCS #8, EC":        {"ES384", pkcs8(t, e), "mine", "mine", []string{"alg", "crv", "kid", "kty", "use", "x", "y"}},
		"SEC 1":              {"ES384", sec1(t, e), "", thumbprint(t, e.Public()), []string{"alg", "crv", "kid", "kty", "use", "x", "y"}},
		"JWK":                {"ES384", jwk(t, e, "its-own"), "", "its-own", []string{"alg", "crv", "kid", "kty", "use", "x", "y"}},
		"JWK, named anew":    {"RS384", jwk(t, r, "its-own"), "mine", "mine", []string{"alg", "e", "kid", "kty", "n", "use"}},
		"JWK without a name": {"RS384", "\n" + jwk(t, r, ""), "", thumbprint(t, r.Public()), []string{"alg", "e", "kid", "kty", "n", "use"}},
	} {
		public, err := PublicKey(domain.Auth{Type: domain.SMARTBackendServices, AssertionAlgorithm: row.algorithm, AssertionKID: row.named}, domain.NewSecret(row.text))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var key map[string]string
		if err := json.Unmarshal(public, &key); err != nil {
			t.Fatalf("%s: %s", what, public)
		}
		if members := slices.Sorted(maps.Keys(key)); !slices.Equal(members, row.members) {
			t.Errorf("%s: the members are %q", what, members)
		}
		if key["kid"] != row.kid || key["alg"] != row.algorithm || key["use"] != "sig" {
			t.Errorf("%s: got %v", what, key)
		}
	}
}

func TestAKeyThatDoesNotFitIsRefusedInWords(t *testing.T) {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	weak := newRSA(1024)()
	r, p384 := rsaKey(t), ecKey(t, elliptic.P384())
	for want, row := range map[string]struct{ algorithm, text string }{
		"1024 bits":        {"RS384", asPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(weak), nil)},
		"is on P-256":      {"ES384", sec1(t, ecKey(t, elliptic.P256()))},
		"is an RSA key":    {"ES384", pkcs8(t, r)},
		"is on P-384":      {"RS384", sec1(t, p384)},
		"an Ed25519 key":   {"ES384", pkcs8(t, ed)},
		"can't be read":    {"ES384", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
		"be read: it must": {"ES384", "no key"},
		"must be PEM":      {"ES384", jwk(t, p384.Public(), "")},
		"a private JWK":    {"RS384", `{"kty": "RSA", "d": "AQAB"}`},
	} {
		a := domain.Auth{Type: domain.JWTBearer, TokenURL: "http://127.0.0.1:1/token", AssertionAlgorithm: row.algorithm}
		_, err := PublicKey(a, domain.NewSecret(row.text))
		if domain.KindOf(err) != domain.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
		got := failsWith(t, onLoopback(t), byToken(calling("http://127.0.0.1:1", nil, nil), a, row.text), domain.CallMisconfigured)
		if !strings.Contains(got.Error, want) {
			t.Errorf("%s: got %s", want, got.Error)
		}
	}
	if _, err := PublicKey(clientCredentials("http://127.0.0.1:1"), domain.NewSecret(canary)); domain.KindOf(err) != domain.Invalid {
		t.Errorf("got %v", err)
	}
}
