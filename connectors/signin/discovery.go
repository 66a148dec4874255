package signin

import (
	"context"
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
	found := pin{Endpoint: domain.Origin(named)}
	secret, sends := s.sentTo(place{})
	if !sends {
		return named, nil
	}
	kept, e := i.keepPin(ctx, s, secret, base, found)
	if e == nil && kept != found {
		e = moved("a token endpoint at", found.Endpoint, kept.Endpoint, "token_url")
	}
	return named, e
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
