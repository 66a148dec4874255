package domain

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Secret is a secret in the clear, on its way from the caller to the vault or
// from the vault to a connector. It holds a pointer, so that what fmt and the
// encoders reach without calling a method is an address, not the text.
type Secret struct{ text *string }

// redacted is what is shown in place of a secret.
const redacted = "[secret]"

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text, for the one place that needs it.
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

// SecretRef names one value in the vault. It is safe to record, to log and to
// show. A secret belongs to the destinations it was given for: it opens for
// them and for nothing else.
type SecretRef struct {
	ID           string    `json:"id"`           // the vault's name for the value
	Field        string    `json:"field"`        // where in the configuration it stands, such as auth.api_key_value
	Version      uint64    `json:"version"`      // counts the values this field has had, from 1
	UpdatedAt    time.Time `json:"updated_at"`   // when this value was given
	Destinations []string  `json:"destinations"` // origin and place, such as "https://api.example.com header X-API-Key"
}

// A SealedSecret pairs a secret with the reference that will name it.
type SealedSecret struct {
	Ref    SecretRef
	Secret Secret
}

// Owner is the integration a secret belongs to. A deleted integration that is
// created again is another owner.
type Owner struct {
	Workspace   Workspace
	ID          ID
	Incarnation uint64
}

// A Keyring opens secrets at the last moment before they are used. An error of
// kind Invalid is for the caller's eyes: the secret is missing or doesn't open.
type Keyring func(context.Context, SecretRef) (Secret, error)
