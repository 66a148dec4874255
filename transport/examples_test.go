package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// examples returns the JSON documents of a page of docs.
func examples(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	require.NoError(t, err)
	var all []string
	for _, block := range strings.Split(string(text), "\n```json\n")[1:] {
		document, _, closed := strings.Cut(block, "\n```\n")
		require.True(t, closed)
		all = append(all, document)
	}
	return all
}

// newPrivateKey returns a key for ES256 or ES384 as PEM.
func newPrivateKey(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestEveryDocumentedIntegrationIsAccepted(t *testing.T) {
	s := serve(t)
	types := map[string]bool{}
	for _, document := range examples(t, "integrations.md") {
		var body struct {
			Auth map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(document), &body), document)
		if name, ok := body.Auth["type"].(string); ok {
			types[name] = true
		}
		curve := elliptic.P256()
		if body.Auth["assertion_algorithm"] == "ES384" {
			curve = elliptic.P384()
		}
		key, err := json.Marshal(newPrivateKey(t, curve))
		require.NoError(t, err)
		document = strings.ReplaceAll(document, `"<PRIVATE KEY>"`, string(key))
		s.send(request{method: "POST", path: "/v1/acme/integrations", body: document}).is(201)
	}
	for _, name := range []string{
		"api_key_header", "bearer_token", "basic", "oauth2_client_credentials", "smart_backend_services", "oauth2_jwt_bearer",
		"json_token_exchange", "bearer_token_exchange",
	} {
		require.True(t, types[name], "docs/integrations.md has no example of %s", name)
	}
}
