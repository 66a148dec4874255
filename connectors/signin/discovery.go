package signin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// endpoint returns the token endpoint of a SMART backend service: the one that
// is configured, else the one that the server names (SMART App Launch 2.2,
// Conformance). One that was used stays: a server that later names another
// origin is not trusted, since that origin could use the assertion.
func (i *issuer) endpoint(ctx context.Context, s signing) (string, *callerror.Error) {
	if s.auth.TokenURL != "" {
		return s.auth.TokenURL, nil
	}
	base := s.base()
	target, e := egress.Resolve(base, "/.well-known/smart-configuration")
	if e != nil {
		return "", e
	}
	got, e := i.client.Do(ctx, &egress.Request{Method: http.MethodGet, URL: target, MaxAnswer: maxTokenAnswer, Header: http.Header{
		"User-Agent": {i.client.UserAgent}, "Accept": {jsonMedia},
	}})
	switch {
	case e != nil:
		return "", e
	case got.Error() != nil:
		return "", callerror.Misconfigured("The server has no SMART configuration (it answered %d at %s): give auth a token_url.", got.Status, target.Path)
	case jsonvalue.CountMarks(got.Body) > maxTokenValues:
		return "", callerror.Misconfigured("The server's SMART configuration has more than %d values.", maxTokenValues)
	}
	raw, _ := jsonvalue.Decode(got.Body)
	configuration, _ := raw.(map[string]any)
	named, _ := configuration["token_endpoint"].(string)
	if e = trusted(base, named); e != nil {
		return "", e
	}
	if pinned, ok := i.pins.get(pinKey(s)); ok && pinned != domain.Origin(named) {
		e := callerror.Misconfigured("The server names a token endpoint at %s by now, and it was at %s when these credentials were first used. "+
			"If that is as it should be, give the private key again or set token_url.", domain.Origin(named), pinned)
		e.Clean = false
		return "", e
	}
	return named, nil
}

// trusted returns the error of a discovered token endpoint that no assertion is sent
// to: not a URL, or without TLS where the server itself has it.
func trusted(base, named string) *callerror.Error {
	u, err := url.Parse(named)
	switch {
	case named == "":
		return callerror.Misconfigured("The server's SMART configuration names no token_endpoint: give auth a token_url.")
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(named) > 2048 || u.Scheme != "https" && u.Scheme != "http":
		return callerror.Misconfigured("The token_endpoint in the server's SMART configuration is not an http or https URL.")
	}
	if server, err := url.Parse(base); u.Scheme == "http" && (err != nil || server.Scheme != "http") {
		return callerror.Misconfigured("The token_endpoint in the server's SMART configuration is without TLS, and the server is not.")
	}
	return nil
}

// pin remembers the token endpoint of a token, if it was discovered.
func (i *issuer) pin(s signing, endpoint *url.URL) {
	if s.auth.Type == domain.SMARTBackendServices && s.auth.TokenURL == "" {
		i.pins.put(pinKey(s), domain.Origin(endpoint.String()))
	}
}

// pinKey identifies what a pin is for: one value of a secret of one incarnation of an
// integration, at one server.
func pinKey(s signing) string {
	ref := s.auth.Secret()                                                              // that of a generated key is none: its keys have one pin
	key, _ := json.Marshal([]any{s.Integration.Owner(), ref.ID, ref.Version, s.base()}) // of texts and numbers, which always encode
	return string(key)
}
