package signin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// messageSigner signs requests as RFC 9421 has it.
type messageSigner struct {
	shape  domain.Signature
	shared []byte            // of hmac-sha256
	key    domain.SigningKey // of every other algorithm
	nonce  func() string     // nil: none
}

func newMessageSigner(s signing) (messageSigner, *callerror.Error) {
	m := messageSigner{shape: *s.auth.Signature}
	var err error
	if s.auth.SecretField() == domain.SharedSecretField {
		m.shared, err = domain.DecodeSecret(s.auth.SecretEncoding, s.secret.Reveal())
	} else {
		m.key, err = domain.ReadSigningKey("", s.secret.Reveal())
	}
	if err != nil {
		return m, callerror.Misconfigured("The key of the signature can't be read.")
	}
	m.nonce = rand.Text
	return m, nil
}

// contentDigest is the component for the body (RFC 9530).
const contentDigest = "content-digest"

// sign signs the components of a request (RFC 9421, 3.1).
func (m messageSigner) sign(r *http.Request, body []byte, at time.Time) *callerror.Error {
	var lines, names []string
	for _, name := range m.shape.Components {
		if name == contentDigest {
			sum := sha256.Sum256(body)
			r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		}
		value, e := messageComponent(r, name)
		if e != nil {
			return e
		}
		lines, names = append(lines, `"`+name+`": `+value), append(names, `"`+name+`"`)
	}
	params := fmt.Sprintf("(%s);created=%d", strings.Join(names, " "), at.Unix())
	if m.shape.KeyID != "" {
		params += `;keyid="` + m.shape.KeyID + `"`
	}
	if m.nonce != nil {
		params += `;alg="` + m.shape.Algorithm + `";nonce="` + m.nonce() + `"`
	}
	if m.shape.Tag != "" {
		params += `;tag="` + m.shape.Tag + `"`
	}
	signature, err := m.signature([]byte(strings.Join(append(lines, `"@signature-params": `+params), "\n")))
	if err != nil {
		return callerror.Misconfigured("The private key could not sign with %s.", m.shape.Algorithm)
	}
	label := m.shape.Label
	if label == "" {
		label = "sig1"
	}
	r.Header.Set("Signature-Input", label+"="+params)
	r.Header.Set("Signature", label+"=:"+base64.StdEncoding.EncodeToString(signature)+":")
	return nil
}

// messageComponent returns the value of a component (RFC 9421, 2).
func messageComponent(r *http.Request, name string) (string, *callerror.Error) {
	path, query := r.URL.EscapedPath(), "?"+r.URL.RawQuery
	if path == "" {
		path = "/"
	}
	authority := strings.ToLower(r.URL.Host)
	authority = strings.TrimSuffix(authority, map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(r.URL.Scheme)])
	switch name {
	case "@method":
		return r.Method, nil
	case "@authority":
		return authority, nil
	case "@scheme":
		return strings.ToLower(r.URL.Scheme), nil
	case "@path":
		return path, nil
	case "@query":
		return query, nil
	case "@request-target":
		return r.URL.RequestURI(), nil
	case "@target-uri":
		target := strings.ToLower(r.URL.Scheme) + "://" + authority + path
		if query != "?" {
			target += query
		}
		return target, nil
	case "host":
		return authority, nil
	}
	values := r.Header.Values(name)
	if len(values) == 0 {
		return "", callerror.Misconfigured("The request has no header %s, which its signature needs.", name)
	}
	for n := range values {
		values[n] = strings.TrimSpace(values[n])
	}
	return strings.Join(values, ", "), nil
}

// signature signs a signature base (RFC 9421, 3.3).
func (m messageSigner) signature(base []byte) ([]byte, error) {
	sum, long, middle := sha256.Sum256(base), sha512.Sum512(base), sha512.Sum384(base)
	switch m.shape.Algorithm {
	case "hmac-sha256":
		h := hmac.New(sha256.New, m.shared)
		_, _ = h.Write(base)
		return h.Sum(nil), nil
	case "ed25519":
		return m.key.Sign(rand.Reader, base, crypto.Hash(0))
	case "rsa-v1_5-sha256":
		return m.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	case "rsa-pss-sha512":
		return m.key.Sign(rand.Reader, long[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512})
	case "ecdsa-p256-sha256":
		return m.rawECDSA(sum[:], crypto.SHA256)
	case "ecdsa-p384-sha384":
		return m.rawECDSA(middle[:], crypto.SHA384)
	}
	return nil, fmt.Errorf("the algorithm %q is not known", m.shape.Algorithm)
}

// rawECDSA returns r and s of a signature, one after the other.
func (m messageSigner) rawECDSA(digest []byte, of crypto.Hash) ([]byte, error) {
	key, ok := m.key.Signer.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %s signs no ECDSA", m.key.Type())
	}
	der, err := key.Sign(rand.Reader, digest, of)
	if err != nil {
		return nil, err
	}
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return nil, err
	}
	size := (key.Params().BitSize + 7) / 8
	return append(parts.R.FillBytes(make([]byte, size)), parts.S.FillBytes(make([]byte, size))...), nil
}
