package signin

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
)

// How the parameters of a token request travel.
const (
	formEncoding  = "form"
	jsonEncoding  = "json"
	queryEncoding = "query"

	jsonMedia = "application/json"
	formMedia = "application/x-www-form-urlencoded"
)

// tokenRequest is a request to a token endpoint.
type tokenRequest struct {
	*egress.Request
	asserts bool   // it carries an assertion, which a wrong clock spoils
	hint    string // a sentence that follows a refusal
}

// repeats reports whether a token is a part of the request for it, or has one of its
// secrets in it. A token endpoint that repeats the request would have that sent to
// wherever its tokens go.
func (r tokenRequest) repeats(token string) bool {
	if r.Scrubber().Finds(token) {
		return true
	}
	parts := append([]string{string(r.Body)}, r.Secrets()...)
	for _, values := range r.Header {
		parts = append(parts, values...)
	}
	for _, values := range r.URL.Query() {
		parts = append(parts, values...)
	}
	if form, err := url.ParseQuery(string(r.Body)); err == nil {
		for _, values := range form {
			parts = append(parts, values...)
		}
	}
	var members map[string]string
	if json.Unmarshal(r.Body, &members) == nil {
		for _, value := range members {
			parts = append(parts, value)
		}
	}
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(part, token) })
}

// tokenBuilder builds a request to a token endpoint of what its type sends and what the
// integration adds.
type tokenBuilder struct {
	*issuer
	signing
	endpoint string
	encoding string // unless token_request names another; "" for no body
	params   map[string]string
	secrets  []string // names of params whose values are secret
	asserts  bool
}

// secret adds a parameter whose value is secret.
func (b *tokenBuilder) secret(name, value string) {
	b.params[name] = value
	b.secrets = append(b.secrets, name)
}

// build returns the request. What the integration adds wins over what its type sends.
func (b *tokenBuilder) build() (tokenRequest, *callerror.Error) {
	target, err := url.Parse(b.endpoint)
	if err != nil || target.Host == "" {
		return tokenRequest{}, callerror.Misconfigured("The URL of the token endpoint can't be called.")
	}
	b.params = maps.Clone(b.params)
	for name, value := range b.auth.TokenParams {
		if value != nil {
			b.params[name] = *value
		} else {
			b.secret(name, b.signing.secrets["token_params."+name].Reveal())
		}
	}
	r := &egress.Request{Method: cmp.Or(b.auth.TokenMethod, http.MethodPost), URL: target, MaxAnswer: maxTokenAnswer, Header: http.Header{
		"User-Agent": {b.client.UserAgent}, "Accept": {jsonMedia},
	}}
	r.ClientCertificate = b.signing.certificate
	if e := b.encode(r); e != nil {
		return tokenRequest{}, e
	}
	for name, value := range b.auth.TokenHeaders {
		if value != nil {
			r.Header.Set(name, *value)
			continue
		}
		secret := b.signing.secrets["token_headers."+name].Reveal()
		r.SetSecretHeader(name, secret, secret)
	}
	return tokenRequest{Request: r, asserts: b.asserts}, nil
}

// encode puts the parameters on the request. Their secrets are secret in each form that
// they travel in.
func (b *tokenBuilder) encode(r *egress.Request) *callerror.Error {
	encoding := cmp.Or(b.auth.TokenRequest, b.encoding)
	if encoding == "" && len(b.params) > 0 {
		encoding = formEncoding
	}
	values := url.Values{}
	for name, value := range b.params {
		values.Set(name, value)
	}
	for _, name := range b.secrets {
		value := b.params[name]
		r.AddSecrets(value, url.QueryEscape(value))
		if encoding == jsonEncoding {
			r.AddSecrets(scrub.JSONForms(value)...) // whose base64 is another
		}
	}
	switch encoding {
	case formEncoding:
		r.Header.Set("Content-Type", formMedia)
		r.Body = []byte(values.Encode())
	case queryEncoding:
		r.AddQuery(values)
	case jsonEncoding:
		r.Header.Set("Content-Type", jsonMedia)
		var e *callerror.Error
		r.Body, e = encodeJSON(b.params)
		return e
	}
	return nil
}

// encodeJSON returns params as a JSON object.
func encodeJSON(params map[string]string) ([]byte, *callerror.Error) {
	body, err := jsonvalue.Compact(params)
	if err != nil {
		return nil, callerror.Misconfigured("The request for a token can't be written as JSON.")
	}
	return []byte(body), nil
}
