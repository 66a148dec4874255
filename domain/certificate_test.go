package domain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestACertificateComesWithItsOwnKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	auth := func(key string) string {
		return with(`{"type": "client_certificate", "client_certificate": ` + quote(certificate) + `, "client_key_value": ` + quote(key) + `}`)
	}
	i := created(t, auth(inPEM(t, key)))
	require.Len(t, i.Secrets(), 1)
	_, err = domain.Integration{}.Create("acme", doc(t, auth(newKey(t, "P-256"))), domain.Attempt{At: noon, ID: "a1"}, rules)
	requireProblem(t, err, "/auth/client_key_value", "private_key_invalid")
	other, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2)}, template, key.Public(), key)
	require.NoError(t, err)
	refused(t, i, `{"auth": {"client_certificate": `+quote(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other})))+`}}`, "/auth/client_key_value", "secret_required")
	refused(t, i, `{"base_url": "https://evil.example.com"}`, "/auth/client_key_value", "secret_required")
}
