package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// withSigV4 signs each request with AWS Signature Version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func withSigV4(now func() time.Time) authenticate {
	return func(_ context.Context, s signing) (*Credential, *callerror.Error) {
		v := sigV4{
			accessKeyID: s.auth.AccessKeyID, secret: s.secret.Reveal(), session: s.secrets[domain.SessionTokenField].Reveal(),
			region: s.auth.Region, service: s.auth.Service,
		}
		headers := []string{"Authorization"}
		if v.session != "" {
			headers = append(headers, "X-Amz-Security-Token")
		}
		s.signEach(func(sent *http.Request, body []byte) *callerror.Error {
			v.sign(sent, body, now())
			s.addSignature(sent, "Authorization", "Signature=")
			return nil
		}, headers...)
		return nil, nil
	}
}

// sigV4 signs requests to one service of AWS.
type sigV4 struct{ accessKeyID, secret, session, region, service string }

const sigV4Algorithm = "AWS4-HMAC-SHA256"

// sign signs a request. Its query is sent in the order that is signed.
func (v sigV4) sign(r *http.Request, body []byte, at time.Time) {
	date := at.UTC().Format("20060102T150405Z")
	payload := hexSHA256(body)
	r.Header.Set("X-Amz-Date", date)
	if v.session != "" {
		r.Header.Set("X-Amz-Security-Token", v.session)
	}
	if v.isS3() {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	r.URL.RawQuery = sortedQuery(pairs(r.URL.RawQuery))
	names, headers := v.headers(r)
	canonical := strings.Join([]string{r.Method, v.path(r), r.URL.RawQuery, headers, names, payload}, "\n")
	scope := strings.Join([]string{date[:8], v.region, v.service, "aws4_request"}, "/")
	text := strings.Join([]string{sigV4Algorithm, date, scope, hexSHA256([]byte(canonical))}, "\n")
	key := []byte("AWS4" + v.secret)
	for _, part := range []string{date[:8], v.region, v.service, "aws4_request"} {
		key = mac256(key, part)
	}
	r.Header.Set("Authorization", sigV4Algorithm+" Credential="+v.accessKeyID+"/"+scope+", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac256(key, text)))
}

func (v sigV4) isS3() bool { return strings.HasPrefix(v.service, "s3") }

// path returns the canonical path: for every service but S3, what is sent is encoded once
// more.
func (v sigV4) path(r *http.Request) string {
	path := r.URL.EscapedPath()
	if path == "" {
		return "/"
	}
	if v.isS3() {
		return path
	}
	segments := strings.Split(path, "/")
	for n, segment := range segments {
		segments[n] = escape(segment)
	}
	return strings.Join(segments, "/")
}

// headers returns the names of the headers that are signed, and the headers. Proxies may
// change others.
func (v sigV4) headers(r *http.Request) (names, canonical string) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	signed := map[string]string{"host": host}
	for name, values := range r.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			trimmed := make([]string, len(values))
			for n, value := range values {
				trimmed[n] = strings.Join(strings.Fields(value), " ")
			}
			signed[lower] = strings.Join(trimmed, ",")
		}
	}
	sorted := slices.Sorted(maps.Keys(signed))
	for _, name := range sorted {
		canonical += name + ":" + signed[name] + "\n"
	}
	return strings.Join(sorted, ";"), canonical
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac256(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte(text))
	return m.Sum(nil)
}
