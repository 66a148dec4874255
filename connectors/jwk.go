package connectors

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

// PublicKeys returns the JSON Web Key Set (RFC 7517) that an authorization
// server is given, or fetches, to check what a signs with key: its public part
// only. It returns an error of kind Invalid when a signs with no private key,
// or when key does not fit a.
func PublicKeys(a domain.Auth, key domain.Secret) ([]byte, error) {
	if a.SecretField() != domain.PrivateKeyField {
		return nil, domain.Errorf(domain.Invalid, "no_private_key", "the auth of this integration signs with no private key")
	}
	private, f := signingKey(a, key)
	if f != nil {
		return nil, domain.Errorf(domain.Invalid, "private_key_invalid", "%s", f.sentence)
	}
	public := private.Public()
	public.Use = "sig"
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		return nil, fmt.Errorf("write the public keys: %w", err)
	}
	return set, nil
}

// signingKey reads the private key of a: one that fits its algorithm, with the
// kid that the assertion names.
func signingKey(a domain.Auth, secret domain.Secret) (jose.JSONWebKey, *fault) {
	key, f := parseKey(secret.Reveal())
	if f != nil {
		return key, f
	}
	if f := fits(a.AssertionAlgorithm, key.Key); f != nil {
		return key, f
	}
	named := key.KeyID
	key = jose.JSONWebKey{Key: key.Key, Algorithm: a.AssertionAlgorithm} // no certificates
	switch {
	case a.AssertionKID != "":
		named = a.AssertionKID
	case named == "":
		thumbprint, err := key.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return key, unreadableKey()
		}
		named = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	key.KeyID = named
	return key, nil
}

func unreadableKey() *fault {
	return misconfigured("The private key can't be read: it must be PEM (PKCS #8, PKCS #1 or SEC 1) or a private JWK, without a passphrase.")
}

// parseKey reads a private key as PEM or JWK.
func parseKey(text string) (key jose.JSONWebKey, f *fault) {
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), &key); err != nil || !key.Valid() || key.IsPublic() {
			return key, unreadableKey()
		}
		return key, nil
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return key, unreadableKey()
		}
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return jose.JSONWebKey{Key: parsed}, nil
		}
		if parsed, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return jose.JSONWebKey{Key: parsed}, nil
		}
		if parsed, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return jose.JSONWebKey{Key: parsed}, nil
		}
	}
}

// fits is the fault of a key that an algorithm can't or mustn't sign with.
func fits(algorithm string, key any) *fault {
	curve, elliptic := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm]
	switch key := key.(type) {
	case *rsa.PrivateKey:
		switch {
		case elliptic:
			return misconfigured("%s signs with a key on %s, and the private key is an RSA key.", algorithm, curve)
		case key.N.BitLen() < 2048:
			return misconfigured("The private key has %d bits; an RSA key needs 2048 or more.", key.N.BitLen())
		}
	case *ecdsa.PrivateKey:
		switch has := key.Curve.Params().Name; {
		case !elliptic:
			return misconfigured("%s signs with an RSA key, and the private key is on %s.", algorithm, has)
		case has != curve:
			return misconfigured("%s signs with a key on %s, and the private key is on %s.", algorithm, curve, has)
		}
	default:
		return misconfigured("The private key is neither an RSA key nor one on an elliptic curve.")
	}
	return nil
}
