package projections

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
)

// Cursors encrypts the place where a page ended into a token for the caller, and decrypts it.
// A token reveals nothing, and can't be forged, changed, or used for another listing.
//
// Each token has a key of its own, derived from a random salt of 16 bytes (HKDF, RFC 5869) and
// used with a random nonce: AES-GCM with one key would be limited to 2^32 tokens.
type Cursors struct{ key []byte }

const saltLength = 16

// NewCursors returns cursors with a key of 32 bytes. Cursors with the same key accept each
// other's tokens.
func NewCursors(key []byte) (Cursors, error) {
	if len(key) != 32 {
		return Cursors{}, fmt.Errorf("key for cursors: it has %d bytes and not 32", len(key))
	}
	return Cursors{key: bytes.Clone(key)}, nil
}

// aead returns the cipher of the token with a salt.
func (c Cursors) aead(salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, c.key, salt, "cursor", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block) // which is part of what it seals
}

// Next returns the token of the page of q that starts at next; empty for nil, when there is
// none.
func (c Cursors) Next(w domain.Workspace, q Query, next *Key) string {
	return c.SealKey(next, scope(w, q)...)
}

// After returns the start of the page of a token, for q.After. The limit of q may have
// changed. The tokens "" and "0" mean the first page, for which it returns nil. It refuses as
// Open does.
func (c Cursors) After(w domain.Workspace, q Query, token string) (*Key, error) {
	if FirstPage(token) {
		return nil, nil
	}
	return c.OpenKey(token, scope(w, q)...)
}

// FirstPage reports whether a token means the first page.
func FirstPage(token string) bool { return token == "" || token == "0" }

// SealKey returns a token for a place in an order, empty for nil.
func (c Cursors) SealKey(k *Key, scope ...string) string {
	if k == nil {
		return ""
	}
	place, err := json.Marshal(k)
	if err != nil {
		return "" // a Key is plain data; this can't happen
	}
	return c.Seal(place, scope...)
}

// OpenKey returns the place that SealKey encrypted into token. It refuses as Open does.
func (c Cursors) OpenKey(token string, scope ...string) (*Key, error) {
	place, err := c.Open(token, scope...)
	if err != nil {
		return nil, err
	}
	var key Key
	if err := json.Unmarshal(place, &key); err != nil {
		return nil, mismatch()
	}
	return &key, nil
}

// Seal returns a URL-safe token for a place in the listing that scope describes.
func (c Cursors) Seal(place []byte, scope ...string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	aead, err := c.aead(salt)
	if err != nil {
		panic(err) // NewCursors checked the key
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(salt, nil, place, join(scope))) //nolint:gosec // the nonce is random: NewGCMWithRandomNonce
}

// Open returns the place that was sealed into token for the same scope. It refuses anything
// else with the code token_mismatch.
func (c Cursors) Open(token string, scope ...string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) < saltLength {
		return nil, mismatch()
	}
	aead, err := c.aead(sealed[:saltLength])
	if err != nil {
		return nil, err
	}
	place, err := aead.Open(nil, nil, sealed[saltLength:], join(scope))
	if err != nil {
		return nil, mismatch()
	}
	return place, nil
}

func mismatch() error {
	return domain.Refuse("/continuation_token", "token_mismatch", "is not a token of this listing; use it with the same workspace, filters and order, or start again without it")
}

// scope returns everything that determines the listed integrations and their order.
func scope(w domain.Workspace, q Query) []string {
	return []string{"integrations", string(w), q.Sort.String(), word(q.Enabled), word(q.Builtin), string(q.Protocol), q.Needle()}
}

func word(b *bool) string {
	if b == nil {
		return ""
	}
	return fmt.Sprint(*b)
}

// join writes the length before each part, so that different scopes differ.
func join(scope []string) []byte {
	var b []byte
	for _, part := range scope {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
