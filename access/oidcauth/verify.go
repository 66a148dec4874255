package oidcauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

// maxToken is the size of the longest token that is looked at, in bytes.
const maxToken = 16 << 10

var errMalformed = domain.Errorf(domain.Unauthenticated, "token_invalid", "the token is not a JWT that is signed with an asymmetric algorithm")

// IsJWT reports whether the text of a bearer token has the form of a JWT in the compact
// serialization. An API key has not.
func IsJWT(text string) bool {
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2
}

// verified is a token whose signature, issuer and times are right.
type verified struct {
	*oidc.IDToken

	kind   string // the header typ, in lower case
	claims Claims
}

// isOther reports whether the token is an ID token or the like instead of an access token.
// Keycloak puts the kind of a token into its payload.
func (v verified) isOther() bool {
	if v.kind == accessToken { // RFC 9068
		return false
	}
	kind, _ := v.claims["typ"].(string)
	return kind != "" && kind != "Bearer" && kind != "JWT" || kind == "" && (v.Nonce != "" || v.AccessTokenHash != "")
}

// accessToken is the header typ of an access token (RFC 9068, 2.1).
const accessToken = "at+jwt"

// verify checks a JWT of the issuer. Its audience is left to the caller.
func verify(ctx context.Context, from *issuer, raw string, now func() time.Time, types ...string) (verified, error) {
	if len(raw) > maxToken {
		return verified{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "the token has more than %d bytes", maxToken)
	}
	token, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return verified{}, errMalformed
	}
	kind, _ := token.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	if kind = strings.TrimPrefix(strings.ToLower(kind), "application/"); !slices.Contains(types, kind) {
		return verified{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "the header typ of the token is not that of a token for this use")
	}
	// Before the signature is verified, so that a token of another issuer causes no request.
	var unverified struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(token.UnsafePayloadWithoutVerification(), &unverified); err != nil || unverified.Issuer != from.url {
		return verified{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "the token was not issued by %s", from.url)
	}
	keys := &recording{KeySet: from}
	names := make([]string, len(algorithms))
	for n, a := range algorithms {
		names[n] = string(a)
	}
	found, err := oidc.NewVerifier(from.url, keys, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: names, Now: now}).Verify(ctx, raw)
	if err != nil {
		return verified{}, refusal(err, keys.err)
	}
	v := verified{IDToken: found, kind: kind}
	var payload json.RawMessage
	if err := found.Claims(&payload); err != nil {
		return verified{}, errMalformed
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&v.claims); err != nil {
		return verified{}, errMalformed
	}
	return v, v.check()
}

// check refuses what go-oidc accepts.
func (v verified) check() error {
	_, bound := v.claims["cnf"]
	switch {
	case v.Subject == "":
		return domain.Errorf(domain.Unauthenticated, "token_invalid", "the token has no subject (sub)")
	case !printable(v.Subject):
		return domain.Errorf(domain.Unauthenticated, "token_invalid", "the subject of the token (sub) must have 1 to 255 visible characters")
	case bound: // RFC 7800: taken as a bearer token, it would work for a thief
		return domain.Errorf(domain.Unauthenticated, "token_invalid", "the token is bound to a key (cnf), which this service does not check; use a bearer token")
	}
	return nil
}

// refusal returns why a token was refused, by the error of go-oidc and that of the keys.
func refusal(err, keys error) error {
	if keys != nil {
		return keys
	}
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return domain.Errorf(domain.Unauthenticated, "token_expired", "the token has expired; get another from its issuer")
	}
	return domain.Wrap(err, domain.Unauthenticated, "token_invalid", "the token is not valid: its issuer, its times (exp, nbf) or its claims are wrong")
}

// recording keeps the error of a key set, which go-oidc turns into text.
type recording struct {
	oidc.KeySet
	err error
}

// VerifySignature implements oidc.KeySet.
func (r *recording) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	payload, r.err = r.KeySet.VerifySignature(ctx, raw)
	return payload, r.err
}

// audienceAt reports whether one of the audiences of a token is ours for a path: one of
// those configured, or a URL of ours that the path is at or below (RFC 8707).
func audienceAt(audiences, configured []string, public, path string) bool {
	for _, a := range audiences {
		if slices.Contains(configured, a) || covers(a, public, path) {
			return true
		}
	}
	return false
}

func covers(audience, public, path string) bool {
	u, err := url.Parse(audience)
	own, ownErr := url.Parse(public)
	if err != nil || ownErr != nil || public == "" || u.Scheme != own.Scheme || !strings.EqualFold(u.Host, own.Host) || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	above := strings.TrimSuffix(u.EscapedPath(), "/")
	return above == "" || path == above || strings.HasPrefix(path, above+"/")
}
