package domain

import (
	"encoding/json"
	"strings"
	"time"
)

// TokenIn is where a token goes in a call.
type TokenIn struct {
	Header string `json:"header,omitempty"`
	Format string `json:"format,omitempty"` // such as "Bearer {token}"
	Query  string `json:"query,omitempty"`  // in the query instead
}

// place returns where the token goes, "" for Authorization: Bearer.
func (t *TokenIn) place() string {
	switch {
	case t == nil:
		return ""
	case t.Query != "":
		return " query " + t.Query
	}
	return " header " + strings.ToLower(t.Header) + " " + t.Format
}

// Signature is how the type hmac signs a request: as an HTTP message signature (RFC 9421)
// of Components, or with Template by what a vendor documents.
type Signature struct {
	Algorithm string `json:"algorithm"` // such as hmac-sha256, or for RFC 9421 ed25519
	KeyID     string `json:"key_id,omitempty"`

	Components []string `json:"components,omitempty"` // RFC 9421: such as @method, @target-uri, content-digest
	Label      string   `json:"label,omitempty"`      // RFC 9421. Empty: sig1
	Tag        string   `json:"tag,omitempty"`        // RFC 9421

	Template string            `json:"template,omitempty"` // of what is signed, such as {timestamp}{method}{path}{body}
	Encoding string            `json:"encoding,omitempty"` // of the signature: hex or base64. Empty: hex
	Header   string            `json:"header,omitempty"`   // that has the signature
	Format   string            `json:"format,omitempty"`   // of that header. Empty: {signature}
	Query    string            `json:"query,omitempty"`    // that has the signature, in place of a header
	Headers  map[string]string `json:"headers,omitempty"`  // more headers, such as {timestamp}
	Params   map[string]string `json:"params,omitempty"`   // more members of the query, which are signed
}

// GeneratedKey is a key pair that the service made.
type GeneratedKey struct {
	Private Secret          // PEM (PKCS #8)
	ID      string          // its thumbprint (RFC 7638)
	Public  json.RawMessage // a JWK (RFC 7517)
}

// PublishedKey is a key pair that the service generated for an auth. The newest key whose
// time has come signs. Its public part is published from its creation until Until.
type PublishedKey struct {
	ID         string          `json:"kid"`
	Algorithm  string          `json:"algorithm"`
	Public     json.RawMessage `json:"public"` // a JWK (RFC 7517)
	SignsFrom  time.Time       `json:"signs_from"`
	Until      time.Time       `json:"published_until,omitzero"` // zero: until it is replaced
	PrivateKey SecretRef       `json:"private_key"`
}
