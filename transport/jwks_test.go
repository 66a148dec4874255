package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePublicKeysOfAnIntegrationCanBeRegistered(t *testing.T) {
	t.Parallel()
	s := serve(t)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.create(rest("ehr", "https://ehr.example", members{"protocol": "fhir", "auth": members{
		"type": "smart_backend_services", "client_id": "us", "assertion_algorithm": "ES384", "assertion_kid": "k-1", "private_key_value": text,
	}}))
	got := s.get("/integrations/ehr/jwks").is(200)
	require.Len(t, got.at("keys"), 1)
	for name, want := range map[string]string{"kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": "k-1"} {
		require.Equal(t, want, got.at("keys", 0, name))
	}
	require.NotContains(t, got.at("keys", 0), "d", "the private part stays in the vault")
	s.create(rest("crm", "https://crm.example", members{"auth": members{"bearer_token_value": "t"}}))
	s.get("/integrations/crm/jwks").is(404, "no_private_key")
	s.get("/integrations/google-maps/jwks").is(404, "no_private_key")
	s.get("/integrations/nothing/jwks").is(404, "integration_not_found")
}
