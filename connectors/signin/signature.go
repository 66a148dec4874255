package signin

import (
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what some vendors sign
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what some vendors sign with; not broken as an HMAC
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// withSignature signs each request, with a signature of RFC 9421 or by a template.
func withSignature(now func() time.Time) authenticate {
	return func(_ context.Context, s signing) (*Credential, *callerror.Error) {
		shape := s.auth.Signature
		if shape == nil {
			return nil, callerror.Misconfigured("The signature of auth is not set.")
		}
		if shape.Template == "" {
			m, e := newMessageSigner(s)
			if e != nil {
				return nil, e
			}
			s.signEach(func(sent *http.Request, body []byte) *callerror.Error {
				e := m.sign(sent, body, now())
				s.addSignature(sent, "Signature", "=:")
				return e
			}, "Signature-Input", "Signature")
			return nil, nil
		}
		key, err := domain.DecodeSecret(s.auth.SecretEncoding, s.secret.Reveal())
		if err != nil {
			return nil, callerror.Misconfigured("The shared secret is not written as secret_encoding has it.")
		}
		var headers []string
		if shape.Header != "" {
			headers = []string{shape.Header}
		}
		s.signEach(func(sent *http.Request, body []byte) *callerror.Error {
			made := signByTemplate(*shape, key, sent, body, now(), rand.Text())
			s.Request.AddSecrets(made)
			return nil
		}, headers...)
		return nil, nil
	}
}

var templateHashes = map[string]func() hash.Hash{
	"hmac-sha1": sha1.New, "hmac-sha256": sha256.New, "hmac-sha384": sha512.New384, "hmac-sha512": sha512.New,
}

// signByTemplate signs a request as the template of a vendor has it, and returns the
// signature.
func signByTemplate(shape domain.Signature, key []byte, r *http.Request, body []byte, at time.Time, nonce string) string {
	at = at.UTC()
	fill := func(text string, more ...string) string {
		return strings.NewReplacer(append(placeholders(shape, r, body, at, nonce), more...)...).Replace(text)
	}
	var added []pair
	for name, value := range shape.Params {
		added = append(added, pair{name, fill(value)})
	}
	if len(added) > 0 {
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+sortedQuery(added), "&")
	}
	m := hmac.New(templateHashes[shape.Algorithm], key)
	_, _ = m.Write([]byte(fill(shape.Template)))
	signature := hex.EncodeToString(m.Sum(nil))
	if shape.Encoding == "base64" {
		signature = base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	for name, value := range shape.Headers {
		r.Header.Set(name, fill(value))
	}
	if shape.Query != "" {
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+sortedQuery([]pair{{shape.Query, signature}}), "&")
		return signature
	}
	value := signature
	if shape.Format != "" {
		value = fill(shape.Format, "{signature}", signature)
	}
	r.Header.Set(shape.Header, value)
	return signature
}

// placeholders returns what a template may name, and what that is for a request.
func placeholders(shape domain.Signature, r *http.Request, body []byte, at time.Time, nonce string) []string {
	sum, long, short := sha256.Sum256(body), sha512.Sum512(body), md5.Sum(body) //nolint:gosec // what some vendors sign
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	return []string{
		"{method}", r.Method, "{host}", r.URL.Host, "{path}", path, "{query}", r.URL.RawQuery, "{target}", r.URL.RequestURI(), "{url}", r.URL.String(),
		"{body}", string(body), "{body_sha256}", hex.EncodeToString(sum[:]), "{body_sha256_base64}", base64.StdEncoding.EncodeToString(sum[:]),
		"{body_sha512}", hex.EncodeToString(long[:]), "{body_md5_base64}", base64.StdEncoding.EncodeToString(short[:]),
		"{timestamp}", strconv.FormatInt(at.Unix(), 10), "{timestamp_ms}", strconv.FormatInt(at.UnixMilli(), 10),
		"{timestamp_iso}", at.Format("2006-01-02T15:04:05.000Z"), "{date}", at.Format(http.TimeFormat),
		"{nonce}", nonce, "{key_id}", shape.KeyID, "{content_type}", r.Header.Get("Content-Type"), "{newline}", "\n",
	}
}
