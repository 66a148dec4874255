package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// Request is a request that can be sent more than once, and shown. It knows which of
// its parts are credentials.
type Request struct {
	Method    string
	URL       *url.URL
	Header    http.Header
	Body      []byte
	MaxAnswer int // bytes of the answer that are read. Default: MaxBody

	ClientCertificate *ClientCertificate // that TLS presents to the upstream; nil: none

	// Sign signs each request that is sent, with its body. Default: nothing is signed.
	Sign func(sent *http.Request, body []byte) *callerror.Error
	// Signed names the headers that Sign sets and that nothing may show.
	Signed []string
	// Answered is called with each answer. Default: nothing is.
	Answered func(status int, header http.Header)

	secrets  []string // texts that nothing may show
	scrubber scrub.Scrubber
	scrubs   int      // of how many of the secrets scrubber is
	masked   []string // names of headers and query members that carry a credential
}

// AddSecrets adds texts that nothing may show, such as a credential in the body.
func (r *Request) AddSecrets(secrets ...string) { r.secrets = append(r.secrets, secrets...) }

// Credentials returns a digest of the headers that carry a credential.
func (r *Request) Credentials() [sha256.Size]byte {
	digest := sha256.New()
	for _, name := range r.masked {
		_, _ = fmt.Fprintf(digest, "%q=%q;", name, r.Header[name])
	}
	return [sha256.Size]byte(digest.Sum(nil))
}

// Secrets returns the texts that nothing may show.
func (r *Request) Secrets() []string { return slices.Clone(r.secrets) }

// Scrubber returns a scrubber of the secrets that r has now. It is made once for them and
// ends with the request. It must not be called at the same time as another method of r.
func (r *Request) Scrubber() scrub.Scrubber {
	if r.scrubs != len(r.secrets) { // secrets are only ever added
		r.scrubber, r.scrubs = scrub.New(r.secrets...), len(r.secrets)
	}
	return r.scrubber
}

// Clone returns a copy whose secrets and masks change independently.
func (r *Request) Clone() *Request {
	c := *r
	c.secrets, c.masked = slices.Clone(r.secrets), slices.Clone(r.masked)
	return &c
}

// SetSecretHeader sets a header that carries a credential.
func (r *Request) SetSecretHeader(name, value string, secrets ...string) {
	r.Header.Set(name, value)
	r.masked = append(r.masked, http.CanonicalHeaderKey(name))
	r.secrets = append(r.secrets, secrets...)
}

// SetBasicAuth sets credentials of RFC 7617. The pair is a secret of its own, because
// its base64 is not that of the password.
func (r *Request) SetBasicAuth(name, password string) {
	pair := name + ":" + password
	r.SetSecretHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)), password, pair)
}

// SetSecretQuery sets a query member that carries a credential, in place of the one that
// was set before. As it is encoded it is a secret of its own: its base64 is another.
func (r *Request) SetSecretQuery(name, value string) {
	if slices.Contains(r.masked, name) {
		r.URL.RawQuery = strings.Join(slices.DeleteFunc(strings.Split(r.URL.RawQuery, "&"), func(member string) bool {
			key, _, _ := strings.Cut(member, "=")
			return key == url.QueryEscape(name)
		}), "&")
	}
	r.AddQuery(url.Values{name: {value}})
	r.masked = append(r.masked, name)
	r.secrets = append(r.secrets, value, url.QueryEscape(value))
}

// AddQuery adds members to the query, whose own members stay as they are.
func (r *Request) AddQuery(values url.Values) { r.AppendQuery(values.Encode()) }

// AppendQuery adds encoded members to the query.
func (r *Request) AppendQuery(encoded string) {
	if encoded == "" {
		return
	}
	if r.URL.RawQuery != "" && !strings.HasSuffix(r.URL.RawQuery, "&") {
		r.URL.RawQuery += "&"
	}
	r.URL.RawQuery += encoded
}

// SetTraceParent puts r into a trace (W3C Trace Context), unless it is in another one or
// parent is empty.
func (r *Request) SetTraceParent(parent string) {
	if parent != "" && r.Header.Get(tracing.Header) == "" {
		r.Header.Set(tracing.Header, parent)
	}
}

// TraceParent returns the trace that r is in, "" without one.
func (r *Request) TraceParent() string { return r.Header.Get(tracing.Header) }

// http returns the request to send once.
func (r *Request) http(ctx context.Context) (*http.Request, *callerror.Error) {
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	sent, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), body)
	if err != nil {
		return nil, callerror.Misconfigured("The URL of this endpoint can't be called.")
	}
	for name, values := range r.Header {
		if slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return nil, callerror.Misconfigured("The header %s has a character that no header can carry, such as a line break.", name)
		}
	}
	sent.Header = r.Header.Clone()
	tracing.Inject(ctx, sent.Header)
	if r.Sign != nil {
		if e := r.Sign(sent, r.Body); e != nil {
			return nil, e
		}
		for _, name := range r.Signed {
			r.AddSecrets(sent.Header.Get(name))
		}
	}
	return sent, nil
}

// Shown returns the request as it is sent, with a mask where the service put a
// credential. The caller's own values are shown as they are: masking one that equals
// a secret would confirm a guess.
func (r *Request) Shown() domain.CallRequest {
	headers := r.Header.Clone()
	target := *r.URL
	var members []string
	if target.RawQuery != "" {
		members = strings.Split(target.RawQuery, "&")
	}
	for _, name := range r.masked {
		if headers[name] != nil {
			headers[name] = []string{scrub.Mask}
		}
		for n, member := range members {
			if key, _, _ := strings.Cut(member, "="); key == url.QueryEscape(name) {
				members[n] = key + "=" + scrub.Mask
			}
		}
	}
	target.RawQuery = ""
	whole := target.String()
	if len(members) > 0 {
		whole += "?" + strings.Join(members, "&")
	}
	return domain.CallRequest{Method: r.Method, URL: whole, Headers: headers, Body: r.shownBody()}
}

// shownBody returns the body, or what it is when it is not text.
func (r *Request) shownBody() string {
	if utf8.Valid(r.Body) {
		return string(r.Body)
	}
	return fmt.Sprintf("(%s, %d bytes, not text)", cmp.Or(r.Header.Get("Content-Type"), "no media type"), len(r.Body))
}
