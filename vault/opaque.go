package vault

import (
	"encoding/base64"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"
)

// Opaque returns an id for a text that reveals nothing of it, can't be guessed, and is the
// same for every process that shares the streams and the root keyset (AES-SIV, RFC 5297).
// Ids of one purpose mean nothing for another.
func (v *Vault) Opaque(purpose, text string) (string, error) {
	cipher, err := v.siv(purpose)
	if err != nil {
		return "", err
	}
	sealed, err := cipher.EncryptDeterministically([]byte(text), []byte(purpose))
	if err != nil {
		return "", fmt.Errorf("make an opaque id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// FromOpaque returns the text that Opaque made an id of. Any other id is not ok.
func (v *Vault) FromOpaque(purpose, id string) (text string, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil {
		return "", false
	}
	cipher, err := v.siv(purpose)
	if err != nil {
		return "", false
	}
	clear, err := cipher.DecryptDeterministically(sealed, []byte(purpose))
	return string(clear), err == nil
}

func (v *Vault) siv(purpose string) (*subtle.AESSIV, error) {
	var key []byte
	for _, half := range []string{"mac", "cipher"} {
		derived, err := v.DeriveKey("opaque " + half + " " + purpose)
		if err != nil {
			return nil, fmt.Errorf("derive the key of opaque ids: %w", err)
		}
		key = append(key, derived...)
	}
	return subtle.NewAESSIV(key)
}
