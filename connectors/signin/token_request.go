package signin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
)

const jsonMedia = "application/json"

// tokenRequest is a request to a token endpoint.
type tokenRequest struct {
	*egress.Request
	asserts bool // it carries an assertion, which a wrong clock spoils
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

// newTokenRequest returns a request to a token endpoint.
func newTokenRequest(agent, endpoint, media string, body []byte) (tokenRequest, *callerror.Error) {
	target, err := url.Parse(endpoint)
	if err != nil || target.Host == "" {
		return tokenRequest{}, callerror.Misconfigured("The URL of the token endpoint can't be called.")
	}
	r := &egress.Request{Method: http.MethodPost, URL: target, Body: body, MaxAnswer: maxTokenAnswer, Header: http.Header{
		"User-Agent": {agent}, "Accept": {jsonMedia},
	}}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	return tokenRequest{Request: r}, nil
}

// newFormRequest is newTokenRequest with a form (RFC 6749, 4.4.2).
func newFormRequest(agent, endpoint string, form url.Values) (tokenRequest, *callerror.Error) {
	return newTokenRequest(agent, endpoint, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

func newAssertionRequest(agent, endpoint, assertion string, form url.Values) (tokenRequest, *callerror.Error) {
	r, e := newFormRequest(agent, endpoint, form)
	if e == nil {
		r.asserts = true
		r.AddSecrets(assertion)
	}
	return r, e
}
