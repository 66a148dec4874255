package domain

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
)

// readSignedJWT reads how a JWT that is its own token is made.
func (a *Auth) readSignedJWT(in *object) {
	short := length(1, 2048)
	in.nullableText("assertion_issuer", &a.AssertionIssuer, short, noControl)
	in.nullableText("assertion_subject", &a.AssertionSubject, short, noControl)
	a.readAnyAssertion(in)
	in.object("token_in", func(o *object) { a.readTokenIn(o) })
	if in.null("token_in") {
		in.known["token_in"], a.TokenIn = true, nil
	}
}

// readAnyAssertion reads how assertions are made that a key pair or a shared secret signs.
func (a *Auth) readAnyAssertion(in *object) {
	wanted := a.AssertionAlgorithm
	if name, ok := in.members["assertion_algorithm"].(string); ok {
		wanted = name
	}
	if slices.Contains(symmetric, wanted) {
		a.readAssertion(in, append(slices.Clone(symmetric), asymmetric...)...)
		a.readEncoding(in)
		return
	}
	a.readAssertion(in, append(slices.Clone(asymmetric), symmetric...)...)
	in.refuseGiven("secret_encoding", "only a shared secret has this")
	a.SecretEncoding = ""
}

// readEncoding reads how a shared secret is written.
func (a *Auth) readEncoding(in *object) {
	if in.null("secret_encoding") {
		a.SecretEncoding = ""
	}
	choice(in, "secret_encoding", &a.SecretEncoding, "hex", "base64")
}

// encoded is the rule that a shared secret is written in an encoding.
func encoded(encoding string) rule {
	return func(s string) (string, string) {
		if _, err := DecodeSecret(encoding, s); err != nil {
			return "pattern", "must be written in " + encoding + ", as secret_encoding has it"
		}
		return "", ""
	}
}

// DecodeSecret returns the bytes of a shared secret: hex, base64 (of either alphabet,
// padded or not), or for "" those of the text itself.
func DecodeSecret(encoding, text string) ([]byte, error) {
	switch encoding {
	case "hex":
		return hex.DecodeString(text)
	case "base64":
		return base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "="))
	}
	return []byte(text), nil
}

var scopeSyntax = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

func scopePart(s string) (string, string) {
	if !scopeSyntax.MatchString(s) {
		return "pattern", "must be letters, digits, hyphens, dots and underscores"
	}
	return "", ""
}

// readSigner reads the names of what signs a request.
func (a *Auth) readSigner(in *object) {
	short := length(1, 512)
	if a.Type == AWSSigV4 {
		in.text("access_key_id", &a.AccessKeyID, scopePart)
		in.text("region", &a.Region, scopePart)
		in.text("service", &a.Service, scopePart)
		in.required("access_key_id", a.AccessKeyID != "")
		in.required("region", a.Region != "")
		in.required("service", a.Service != "")
		return
	}
	in.text("consumer_key", &a.ConsumerKey, short, noControl)
	in.nullableText("token", &a.Token, length(1, 2048), noControl)
	in.nullableText("realm", &a.Realm, short, noControl, noQuote)
	choice(in, "signature_method", &a.SignatureMethod, "HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT")
	in.required("consumer_key", a.ConsumerKey != "")
}

func noQuote(s string) (string, string) {
	if strings.ContainsAny(s, `"\\`) {
		return "pattern", "must not have quotes or backslashes"
	}
	return "", ""
}
