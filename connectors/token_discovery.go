package connectors

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// endpoint returns the token endpoint of a SMART backend service: the one that
// is configured, else the one that the server names (SMART App Launch 2.2,
// Conformance). One that was used stays: a server that later names another
// origin is not believed, since whoever sits there could use the assertion.
func (t *tokens) endpoint(ctx context.Context, s signing) (string, *fault) {
	if s.auth.TokenURL != "" {
		return s.auth.TokenURL, nil
	}
	base := baseOf(s)
	target, f := below(base, "/.well-known/smart-configuration")
	if f != nil {
		return "", f
	}
	got, f := t.way.once(ctx, &outgoing{method: http.MethodGet, url: target, most: mostGiven, header: http.Header{
		"User-Agent": {t.way.agent}, "Accept": {plainJSON},
	}})
	if f != nil {
		return "", f
	}
	if f = refusal(got.status); f != nil {
		return "", misconfigured("The server has no SMART configuration (it answered %d at %s): give auth a token_url.", got.status, target.Path)
	}
	if jsonvalue.CountMarks(got.body) > maxTokenValues {
		return "", misconfigured("The server's SMART configuration has more than %d values.", maxTokenValues)
	}
	raw, _ := jsonvalue.Decode(got.body)
	said, _ := raw.(map[string]any)
	named, _ := said["token_endpoint"].(string)
	if f = trusted(base, named); f != nil {
		return "", f
	}
	if pinned, ok := t.pins.get(pinKey(s)); ok && pinned != domain.Origin(named) {
		f := misconfigured("The server names a token endpoint at %s by now, and it was at %s when these credentials were first used. "+
			"If that is as it should be, give the private key again or set token_url.", domain.Origin(named), pinned)
		f.own = false
		return "", f
	}
	return named, nil
}

// trusted is the fault of a discovered token endpoint that no assertion is sent
// to: not a URL, or without TLS where the server itself has it.
func trusted(base, named string) *fault {
	u, err := url.Parse(named)
	switch {
	case named == "":
		return misconfigured("The server's SMART configuration names no token_endpoint: give auth a token_url.")
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(named) > 2048 || u.Scheme != "https" && u.Scheme != "http":
		return misconfigured("The token_endpoint in the server's SMART configuration is not an http or https URL.")
	}
	if server, err := url.Parse(base); u.Scheme == "http" && (err != nil || server.Scheme != "http") {
		return misconfigured("The token_endpoint in the server's SMART configuration is without TLS, and the server is not.")
	}
	return nil
}

// pin notes where a token was had, if that place was discovered.
func (t *tokens) pin(s signing, endpoint *url.URL) {
	if s.auth.Type == domain.SMARTBackendServices && s.auth.TokenURL == "" {
		t.pins.put(pinKey(s), domain.Origin(endpoint.String()))
	}
}

// pinKey says whom a pin is for: one value of a secret of one incarnation of an
// integration, at one server.
func pinKey(s signing) string {
	ref := s.auth.Secret()
	key, _ := json.Marshal([]any{s.integration.Owner(), ref.ID, ref.Version, baseOf(s)}) // of texts and numbers, which always encode
	return string(key)
}
