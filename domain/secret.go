package domain

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Secret is a plaintext secret, on its way from the caller to the vault or from the
// vault to a connector. It holds a pointer, so that fmt and the encoders can only
// reach an address without calling a method.
type Secret struct{ text *string }

// redacted is what is shown in place of a secret.
const redacted = "[secret]"

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text. Call it only where the text is sent or sealed.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String keeps the text out of messages.
func (Secret) String() string { return redacted }

// GoString keeps the text out of %#v.
func (Secret) GoString() string { return redacted }

// Format keeps the text out of every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the text out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON keeps the text out of every document.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// SecretRef names one value in the vault. It is safe to record, log and show. A
// secret is bound to the destinations that it was given for and opens for no
// others.
type SecretRef struct {
	ID           string    `json:"id"`                 // the vault's name for the value
	Field        string    `json:"field"`              // its place in the configuration, such as auth.api_key_value
	Version      uint64    `json:"version"`            // counts the values of this field, from 1
	UpdatedAt    time.Time `json:"updated_at"`         // when this value was set
	Destinations []string  `json:"destinations"`       // origin and place, such as "https://api.example.com header X-API-Key"
	KeyType      string    `json:"key_type,omitempty"` // of a private key that signs: RSA, P-256, P-384, P-521, Ed25519
}

// A SealedSecret pairs a secret with the reference that will name it.
type SealedSecret struct {
	Ref    SecretRef
	Secret Secret
}

// Owner is the integration that a secret belongs to. A deleted integration that is
// created again is another owner.
type Owner struct {
	Workspace   Workspace
	ID          ID
	Incarnation uint64
}

// GeneratedKeys returns what stands for the id of a secret where all keys are meant that the
// service generates for an integration, one after the other.
func (o Owner) GeneratedKeys() string { return fmt.Sprintf("generated%d", o.Incarnation) }

// A Keyring opens a secret just before it is used. An error of kind Invalid is
// shown to the caller: the secret is missing or can't be opened.
type Keyring func(context.Context, SecretRef) (Secret, error)
