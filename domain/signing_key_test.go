package domain_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func inPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// newKey returns a private key of a type.
func newKey(t *testing.T, kind string) string {
	t.Helper()
	if kind == "Ed25519" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		return inPEM(t, key)
	}
	key, err := ecdsa.GenerateKey(map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}[kind], rand.Reader)
	require.NoError(t, err)
	return inPEM(t, key)
}

func inJWK(kty string, members map[string]*big.Int, others string) string {
	text := `{"kty": "` + kty + `"` + others
	for name, n := range members {
		text += fmt.Sprintf(`, %q: %q`, name, base64.RawURLEncoding.EncodeToString(n.Bytes()))
	}
	return text + "}"
}

func TestASigningKeyIsReadFromPEMAndJWK(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	point, err := e.PublicKey.Bytes()
	require.NoError(t, err)
	x, y := new(big.Int).SetBytes(point[1:49]), new(big.Int).SetBytes(point[49:])
	scalar, err := e.Bytes()
	require.NoError(t, err)
	d := new(big.Int).SetBytes(scalar)
	members := map[string]*big.Int{"n": r.N, "e": big.NewInt(int64(r.E)), "d": r.D, "p": r.Primes[0], "q": r.Primes[1]}
	for _, row := range []struct{ algorithm, text, id string }{
		{"RS384", inPEM(t, r), ""},
		{"ES384", inPEM(t, e), ""},
		{"RS256", inJWK("RSA", members, `, "kid": "mine"`), "mine"},
		{"ES384", "\n" + inJWK("EC", map[string]*big.Int{"d": d, "x": x, "y": y}, `, "crv": "P-384"`), ""},
	} {
		key, err := domain.ReadSigningKey(row.algorithm, row.text)
		require.NoError(t, err, row.text)
		require.Equal(t, row.id, key.ID)
		require.True(t, r.PublicKey.Equal(key.Public()) || e.PublicKey.Equal(key.Public()))
	}
	wrong := map[string]*big.Int{}
	for name, n := range members {
		wrong[name] = n
	}
	for _, name := range []string{"n", "e", "d", "p", "q"} { // each of them missing, zero, one, or another number
		for _, n := range []*big.Int{nil, new(big.Int), big.NewInt(1), new(big.Int).Add(members[name], big.NewInt(2))} {
			wrong[name] = n
			if n == nil {
				delete(wrong, name)
			}
			_, err := domain.ReadSigningKey("RS384", inJWK("RSA", wrong, ""))
			require.Error(t, err, "%s = %s", name, n)
		}
		wrong[name] = members[name]
	}
	_, err = domain.ReadSigningKey("ES384", inJWK("EC", map[string]*big.Int{"d": d, "x": y, "y": x}, `, "crv": "P-384"`))
	require.Error(t, err, "a point of another key")
	_, err = domain.ReadSigningKey("ES384", inJWK("EC", map[string]*big.Int{"d": new(big.Int).Lsh(d, 200), "x": x, "y": y}, `, "crv": "P-384"`))
	require.Error(t, err, "too large a number")
}

// A key that could not sign would be found out by the first call only.
func TestAKeyThatCanNotSignIsRefusedWhenItIsGiven(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for key, want := range map[string]string{
		inPEM(t, ed): "is an Ed25519 key", inPEM(t, p256): "is on P-256, and RS384 signs with an RSA key",
		`{"kty": "RSA", "d": "AQAB"}`: "can't be read", `{"kty": "EC", "crv": "P-256", "d": "AQAB"}`: "can't be read",
	} {
		text := strings.Replace(smart, quote(rsaKey), quote(key), 1)
		require.NotEqual(t, smart, text)
		_, err := domain.Integration{}.Create("acme", doc(t, text), domain.Attempt{At: noon, ID: "a1"}, rules)
		requireProblem(t, err, "/auth/private_key_value", "private_key_invalid")
		require.Contains(t, err.(*domain.Error).Problems[0].Detail, want) //nolint:errorlint // requireProblem has looked
	}
}
