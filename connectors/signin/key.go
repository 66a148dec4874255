package signin

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// PublicKeys returns the JSON Web Key Set (RFC 7517) that an authorization server is
// given, or fetches, to verify what a signs with key: its public part only. It returns
// an error of kind Invalid when a signs with no private key, or when key does not fit a.
func PublicKeys(a domain.Auth, key domain.Secret) ([]byte, error) {
	if a.SecretField() != domain.PrivateKeyField {
		return nil, domain.Errorf(domain.Invalid, "no_private_key", "the auth of this integration signs with no private key")
	}
	private, e := signingKey(a, key)
	if e != nil {
		return nil, domain.Errorf(domain.Invalid, "private_key_invalid", "%s", e.Sentence)
	}
	public := private.Public()
	public.Use = "sig"
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		return nil, fmt.Errorf("write the public keys: %w", err)
	}
	return set, nil
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
