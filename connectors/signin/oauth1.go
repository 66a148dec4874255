package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what OAuth 1 has, and is not broken as an HMAC
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// withOAuth1 signs each request with OAuth 1.0 (RFC 5849), with a nonce of its own.
func withOAuth1(now func() time.Time) authenticate {
	return func(_ context.Context, s signing) (*Credential, *callerror.Error) {
		o := oauth1{
			consumerKey: s.auth.ConsumerKey, consumerSecret: s.secret.Reveal(),
			token: s.auth.Token, tokenSecret: s.secrets[domain.TokenSecretField].Reveal(), method: s.auth.SignatureMethod, realm: s.auth.Realm,
		}
		s.signEach(func(sent *http.Request, body []byte) *callerror.Error {
			o.sign(sent, body, rand.Text(), now())
			s.addSignature(sent, "Authorization", `oauth_signature="`)
			return nil
		}, "Authorization")
		return nil, nil
	}
}

// oauth1 signs requests with OAuth 1.0.
type oauth1 struct{ consumerKey, consumerSecret, token, tokenSecret, method, realm string }

var oauth1Hashes = map[string]func() hash.Hash{"HMAC-SHA1": sha1.New, "HMAC-SHA256": sha256.New, "HMAC-SHA512": sha512.New}

func (o oauth1) sign(r *http.Request, body []byte, nonce string, at time.Time) {
	oauth := map[string]string{
		"oauth_consumer_key": o.consumerKey, "oauth_nonce": nonce, "oauth_signature_method": o.method,
		"oauth_timestamp": strconv.FormatInt(at.Unix(), 10), "oauth_version": "1.0",
	}
	if o.token != "" {
		oauth["oauth_token"] = o.token
	}
	oauth["oauth_signature"] = o.signature(baseString(r, body, oauth))
	var header strings.Builder
	header.WriteString("OAuth ")
	if o.realm != "" {
		header.WriteString(`realm="` + o.realm + `", `)
	}
	for n, name := range slices.Sorted(maps.Keys(oauth)) {
		if n > 0 {
			header.WriteString(", ")
		}
		header.WriteString(name + `="` + escape(oauth[name]) + `"`)
	}
	r.Header.Set("Authorization", header.String())
}

// signature signs a base string (RFC 5849, 3.4).
func (o oauth1) signature(base string) string {
	key := escape(o.consumerSecret) + "&" + escape(o.tokenSecret)
	of, ok := oauth1Hashes[o.method]
	if !ok {
		return key // PLAINTEXT (3.4.4)
	}
	m := hmac.New(of, []byte(key))
	_, _ = m.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// baseString returns what is signed of a request (RFC 5849, 3.4.1): its method, its URL
// without the query, and the parameters of query, header and form.
func baseString(r *http.Request, body []byte, oauth map[string]string) string {
	members := pairs(r.URL.RawQuery)
	for name, value := range oauth {
		members = append(members, pair{name, value})
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(media), formMedia) {
		members = append(members, pairs(string(body))...)
	}
	scheme, host := strings.ToLower(r.URL.Scheme), strings.ToLower(r.URL.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	return strings.ToUpper(r.Method) + "&" + escape(scheme+"://"+host+path) + "&" + escape(sortedQuery(members))
}
