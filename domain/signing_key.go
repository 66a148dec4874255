package domain

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// SigningKey is a private key that signs assertions.
type SigningKey struct {
	crypto.Signer        // an *rsa.PrivateKey, an *ecdsa.PrivateKey or an ed25519.PrivateKey
	ID            string // the kid of a JWK; "" for PEM
}

// minRSABits is the size of the smallest RSA key that may sign (RFC 7518, 3.3).
const minRSABits = 2048

var errUnreadableKey = errors.New("can't be read: it must be PEM (PKCS #8, PKCS #1 or SEC 1) or a private JWK, without a passphrase")

// ReadSigningKey reads a private key that signs with algorithm, such as ES384, or with any
// for "": PEM with PKCS #8, PKCS #1 or SEC 1 inside, or a JWK (RFC 7517). The text of an error follows
// the words "the private key", and holds nothing of it.
func ReadSigningKey(algorithm, text string) (SigningKey, error) {
	read := readPEM
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		read = readJWK
	}
	key, err := read(text)
	if err != nil {
		return SigningKey{}, err
	}
	return key, checkSigns(algorithm, key.Signer)
}

// Type returns the type of the key: RSA, its curve (P-256, P-384, P-521), or Ed25519.
func (k SigningKey) Type() string {
	switch key := k.Signer.(type) {
	case *rsa.PrivateKey:
		return rsaKeyType
	case *ecdsa.PrivateKey:
		return key.Curve.Params().Name
	case ed25519.PrivateKey:
		return ed25519KeyType
	}
	return ""
}

// checkSigns returns why a key can't or mustn't sign with an algorithm, "" for any that
// it can sign with.
func checkSigns(algorithm string, key crypto.Signer) error {
	has := SigningKey{Signer: key}.Type()
	needed := keyTypeOf[algorithm]
	described := map[string]string{"": "is neither an RSA key nor one on an elliptic curve that signs", rsaKeyType: "is an RSA key", ed25519KeyType: "is an Ed25519 key"}[has]
	if described == "" {
		described = "is on " + has
	}
	rsaKey, isRSA := key.(*rsa.PrivateKey)
	switch {
	case has == "" || algorithm != "" && needed == "":
		return errors.New(described)
	case algorithm != "" && needed != has && needed == rsaKeyType:
		return fmt.Errorf("%s, and %s signs with an RSA key", described, algorithm)
	case algorithm != "" && needed != has && needed == ed25519KeyType:
		return fmt.Errorf("%s, and %s signs with an Ed25519 key", described, algorithm)
	case algorithm != "" && needed != has:
		return fmt.Errorf("%s, and %s signs with a key on %s", described, algorithm, needed)
	case isRSA && rsaKey.N.BitLen() < minRSABits:
		return fmt.Errorf("has %d bits; an RSA key needs %d or more", rsaKey.N.BitLen(), minRSABits)
	}
	return nil
}

// readPEM returns the first private key in text: EC PARAMETERS may come before it.
func readPEM(text string) (SigningKey, error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			signer, _ := key.(crypto.Signer) // nil for a key that only agrees on secrets
			return SigningKey{Signer: signer}, nil
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return SigningKey{Signer: key}, nil
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return SigningKey{Signer: key}, nil
		}
	}
	return SigningKey{}, errUnreadableKey
}

// number is an integer of a JWK (RFC 7518, 2).
type number struct{ *big.Int }

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	n.Int = new(big.Int).SetBytes(bytes)
	return nil
}

// readJWK reads a private key of RFC 7518, 6.2 or 6.3.
func readJWK(text string) (SigningKey, error) {
	var jwk struct {
		Kty, Kid, Crv       string
		D, X, Y, N, E, P, Q number
	}
	if json.Unmarshal([]byte(text), &jwk) != nil || jwk.D.Int == nil {
		return SigningKey{}, errUnreadableKey
	}
	switch {
	case jwk.Kty == "RSA" && jwk.N.Int != nil && jwk.E.Int != nil && jwk.E.IsInt64() && jwk.P.Int != nil && jwk.Q.Int != nil:
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: jwk.N.Int, E: int(jwk.E.Int64())}, D: jwk.D.Int, Primes: []*big.Int{jwk.P.Int, jwk.Q.Int}}
		key.Precompute()
		if key.Validate() == nil {
			return SigningKey{Signer: key, ID: jwk.Kid}, nil
		}
	case jwk.Kty == "EC" && jwk.X.Int != nil && jwk.Y.Int != nil:
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[jwk.Crv]
		if curve == nil || jwk.D.BitLen() > curve.Params().BitSize {
			return SigningKey{}, errUnreadableKey
		}
		key, err := ecdsa.ParseRawPrivateKey(curve, jwk.D.FillBytes(make([]byte, (curve.Params().BitSize+7)/8)))
		if err == nil && key.X.Cmp(jwk.X.Int) == 0 && key.Y.Cmp(jwk.Y.Int) == 0 {
			return SigningKey{Signer: key, ID: jwk.Kid}, nil
		}
	case jwk.Kty == "OKP" && jwk.Crv == ed25519KeyType && jwk.X.Int != nil && jwk.D.BitLen() <= 256 && jwk.X.BitLen() <= 256: // RFC 8037, 2
		key := ed25519.NewKeyFromSeed(jwk.D.FillBytes(make([]byte, ed25519.SeedSize)))
		if public, ok := key.Public().(ed25519.PublicKey); ok && bytes.Equal(public, jwk.X.FillBytes(make([]byte, ed25519.PublicKeySize))) {
			return SigningKey{Signer: key, ID: jwk.Kid}, nil
		}
	}
	return SigningKey{}, errUnreadableKey
}

// The algorithms that a key pair signs with (RFC 7518, 3.1; RFC 8037), the usual one of
// each type of key first.
var asymmetric = []string{"RS256", "ES256", "ES384", "ES512", "EdDSA", "RS384", "RS512", "PS256", "PS384", "PS512"}

// symmetric are the algorithms that a shared secret signs with.
var symmetric = []string{"HS256", "HS384", "HS512"}

// keyTypeOf names the type of the key that signs with each algorithm (RFC 7518, 3.1; RFC
// 8037).
var keyTypeOf = map[string]string{
	"RS256": rsaKeyType, "RS384": rsaKeyType, "RS512": rsaKeyType, "PS256": rsaKeyType, "PS384": rsaKeyType, "PS512": rsaKeyType,
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": ed25519KeyType,
}

const (
	rsaKeyType     = "RSA"
	ed25519KeyType = "Ed25519"
)

// inferAlgorithm returns the first of algorithms that a key signs with, or why there is
// none.
func inferAlgorithm(key SigningKey, algorithms []string) (string, error) {
	for _, algorithm := range algorithms {
		if keyTypeOf[algorithm] == key.Type() {
			return algorithm, checkSigns(algorithm, key.Signer)
		}
	}
	return "", fmt.Errorf("is of type %s, and none of %s signs with that", key.Type(), join(algorithms))
}
