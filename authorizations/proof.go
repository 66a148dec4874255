package authorizations

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
)

// proofKey returns a new private key, in PEM, for the tokens of a consent to be bound to (RFC 9449),
// "" where the auth asks for none. It is sealed with the tokens, so all processes prove them.
func proofKey(a domain.Auth) (string, error) {
	if !a.DPoP {
		return "", nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("generate a key for DPoP: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write a key for DPoP: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
