package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

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

// generated is an integration whose key the service generates.
func generated(algorithm string) members {
	return members{"protocol": "fhir", "auth": members{"type": "smart_backend_services", "client_id": "us", "private_key_generate": algorithm}}
}

// publicKeySet creates an integration with a generated key, and returns the id of its key
// set.
func (s *service) publicKeySet() string {
	s.create(rest("ehr-with-keys", "https://ehr.example", generated("ES384")))
	path, _ := s.get("/integrations/ehr-with-keys/signing-keys").is(200).at("key_set_path").(string)
	return path[len("/jwks/"):]
}

func TestAGeneratedKeyIsPublishedToAnybodyAndRotatedWithAnOverlap(t *testing.T) {
	t.Parallel()
	s := serve(t)
	set := "/jwks/" + s.publicKeySet()
	first := s.get("/integrations/ehr-with-keys/signing-keys").is(200)
	kid := first.at("items", 0, "kid")
	require.Equal(t, "ES384", first.at("items", 0, "algorithm"))
	require.Nil(t, first.at("items", 0, "published_until"))

	public := s.send(request{method: "GET", path: set, key: "none"}).is(200)
	require.Equal(t, "public, max-age=300", public.header.Get("Cache-Control"))
	require.Equal(t, "application/jwk-set+json", public.header.Get("Content-Type"))
	require.Equal(t, kid, public.at("keys", 0, "kid"))
	require.NotContains(t, public.at("keys", 0), "d")
	same := request{method: "GET", path: set, key: "none", header: map[string]string{"If-None-Match": public.header.Get("ETag")}}
	require.Equal(t, http.StatusNotModified, s.send(same).status)
	for _, wrong := range []string{set[:len(set)-1], "/jwks/x", "/jwks/" + kid.(string)} {
		s.send(request{method: "GET", path: wrong, key: "none"}).is(404, "key_set_not_found")
	}

	s.send(request{method: "POST", path: "/integrations/ehr-with-keys/signing-keys/rotate", body: members{"publish_seconds": -1}, wrong: true}).is(422, "range")
	s.post("/integrations/ehr-with-keys/signing-keys/rotate", members{"publish_seconds": 600, "overlap_seconds": 60}).is(200)
	keys := s.get("/integrations/ehr-with-keys/signing-keys").is(200)
	require.Len(t, keys.at("items"), 2)
	require.Equal(t, kid, keys.at("items", 0, "kid"), "the previous key")
	signs, err := time.Parse(time.RFC3339Nano, keys.at("items", 1, "signs_from").(string))
	require.NoError(t, err)
	until, err := time.Parse(time.RFC3339Nano, keys.at("items", 0, "published_until").(string))
	require.NoError(t, err)
	require.Equal(t, time.Minute, until.Sub(signs))
	require.Len(t, s.send(request{method: "GET", path: set, key: "none"}).is(200).at("keys"), 2, "the next key is published before it signs")

	next := keys.at("items", 1, "kid")
	s.post("/integrations/ehr-with-keys/signing-keys/rotate", members{"publish_seconds": 0, "overlap_seconds": 0}).is(200)
	keys = s.get("/integrations/ehr-with-keys/signing-keys").is(200)
	require.Len(t, keys.at("items"), 1, "the next key was brought forward")
	require.Equal(t, next, keys.at("items", 0, "kid"))

	history := s.get("/integrations/ehr-with-keys/history").is(200)
	require.NotContains(t, history.text, "PRIVATE")
	require.NotContains(t, s.get("/integrations/ehr-with-keys").is(200).text, "private_key\"")
	s.create(rest("crm-2", "https://crm.example", members{"auth": members{"bearer_token_value": "t"}}))
	s.post("/integrations/crm-2/signing-keys/rotate", members{}).is(409, "no_generated_key")
}

func TestAGeneratedKeyIsNeverUsedForAnotherDestination(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.publicKeySet()
	kid := s.get("/integrations/ehr-with-keys/signing-keys").is(200).at("items", 0, "kid")
	s.put("/integrations/ehr-with-keys", members{"display_name": "Other"}).is(200)
	require.Equal(t, kid, s.get("/integrations/ehr-with-keys/signing-keys").is(200).at("items", 0, "kid"))
	s.put("/integrations/ehr-with-keys", members{"auth": members{"token_url": "https://evil.example/token"}}).is(200)
	keys := s.get("/integrations/ehr-with-keys/signing-keys").is(200)
	require.Len(t, keys.at("items"), 1)
	require.NotEqual(t, kid, keys.at("items", 0, "kid"))
}
