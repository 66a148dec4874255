package signin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// PublicKey returns the JSON Web Key (RFC 7517) with which an authorization server
// verifies what a signs with key: its public part only. It returns an error of kind
// Invalid when a signs with no private key, or when key does not fit a.
func PublicKey(a domain.Auth, key domain.Secret) ([]byte, error) {
	if a.SecretField() != domain.PrivateKeyField {
		return nil, domain.Errorf(domain.Invalid, "no_private_key", "the auth of this integration signs with no private key")
	}
	private, e := signingKey(a, key)
	if e != nil {
		return nil, domain.Errorf(domain.Invalid, "private_key_invalid", "%s", e.Sentence)
	}
	public := private.Public()
	public.Use = "sig"
	text, err := public.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return text, nil
}

// rsaBits is the size of the RSA keys that are generated.
const rsaBits = 2048

// GenerateKey generates a key pair that signs with an algorithm, such as RS384 or ES384.
func GenerateKey(algorithm string) (domain.GeneratedKey, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		err = errors.New("no key pair signs with it")
	}
	if err != nil {
		return domain.GeneratedKey{}, fmt.Errorf("generate a key for %s: %w", algorithm, err)
	}
	key := jose.JSONWebKey{Key: private, Algorithm: algorithm, Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return domain.GeneratedKey{}, fmt.Errorf("generate a key for %s: %w", algorithm, err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	public, err := key.Public().MarshalJSON()
	if err != nil {
		return domain.GeneratedKey{}, fmt.Errorf("generate a key for %s: %w", algorithm, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return domain.GeneratedKey{}, fmt.Errorf("generate a key for %s: %w", algorithm, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return domain.GeneratedKey{Private: domain.NewSecret(string(text)), ID: key.KeyID, Public: public}, nil
}

// signingKey reads the private key of a, with the kid that assertions name.
func signingKey(a domain.Auth, secret domain.Secret) (jose.JSONWebKey, *callerror.Error) {
	read, err := domain.ReadSigningKey(a.AssertionAlgorithm, secret.Reveal())
	if err != nil {
		return jose.JSONWebKey{}, callerror.Misconfigured("The private key %v.", err)
	}
	key := jose.JSONWebKey{Key: read.Signer, Algorithm: a.AssertionAlgorithm, KeyID: read.ID}
	switch {
	case a.AssertionKID != "":
		key.KeyID = a.AssertionKID
	case key.KeyID == "":
		thumbprint, err := key.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return key, callerror.Misconfigured("The private key has no thumbprint.")
		}
		key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	return key, nil
}
