package authserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// methods are the ways to authenticate at a token endpoint, by the names that RFC 7591, 2
// has for them.
var methods = map[string]string{"basic": "client_secret_basic", "basic_raw": "client_secret_basic", "body": "client_secret_post", "none": "none"}

// Method returns how a client authenticates at a server that names its methods: the
// configured way, else the first of ours that the server has. A server that names none has
// the one of RFC 8414, 2.
func Method(configured string, server domain.AuthorizationServer, hasSecret bool) string {
	switch {
	case configured != "":
		return configured
	case !hasSecret:
		return "none"
	case slices.Contains(server.AuthMethods, "client_secret_post") && !slices.Contains(server.AuthMethods, "client_secret_basic"):
		return "body"
	}
	return "basic"
}

// registrationMethod returns how a client that is about to be registered will authenticate.
func registrationMethod(configured string, server domain.AuthorizationServer) string {
	if configured != "" || len(server.AuthMethods) == 0 {
		return Method(configured, server, true)
	}
	for _, own := range []string{"basic", "body", "none"} {
		if slices.Contains(server.AuthMethods, methods[own]) {
			return own
		}
	}
	return "basic"
}

// Register registers this service as a client (RFC 7591). How it authenticates is what the
// answer names.
func Register(ctx context.Context, client *egress.Client, server domain.AuthorizationServer, m domain.ClientMetadata, now time.Time) (domain.RegisteredClient, *callerror.Error) {
	var none domain.RegisteredClient
	target, err := url.Parse(server.RegistrationEndpoint)
	if err != nil || !domain.SecureURL(server.RegistrationEndpoint) {
		return none, callerror.FoundMisconfigured("The authorization server registers no clients. Configure client_id.")
	}
	grants := []string{"authorization_code"}
	if m.Refresh {
		grants = append(grants, "refresh_token")
	}
	method := registrationMethod(m.Method, server)
	body := map[string]any{
		"client_name": "Integrations", "redirect_uris": []string{m.RedirectURI}, "grant_types": grants, "response_types": []string{"code"},
		"token_endpoint_auth_method": methods[method], "application_type": domain.ApplicationType(m.RedirectURI),
	}
	if len(m.Scopes) > 0 {
		body["scope"] = strings.Join(m.Scopes, " ")
	}
	text, err := json.Marshal(body)
	if err != nil {
		return none, callerror.Misconfigured("The registration can't be written as JSON.")
	}
	got, e := client.Do(ctx, &egress.Request{Method: http.MethodPost, URL: target, Body: text, MaxAnswer: maxDocument, Header: http.Header{
		"User-Agent": {client.UserAgent}, "Accept": {"application/json"}, "Content-Type": {"application/json"},
	}})
	if e != nil {
		return none, e
	}
	members, e := readObject(got)
	if e != nil {
		return none, callerror.FoundMisconfigured("The authorization server refused to register a client: %s Configure client_id.", e.Sentence)
	}
	return readRegistration(members, method, now)
}

func readRegistration(members map[string]any, asked string, now time.Time) (domain.RegisteredClient, *callerror.Error) {
	var c domain.RegisteredClient
	c.ID, _ = members["client_id"].(string)
	secret, _ := members["client_secret"].(string)
	c.Secret, c.AuthMethod = domain.NewSecret(secret), asked
	if named, _ := members["token_endpoint_auth_method"].(string); named != "" {
		c.AuthMethod = ""
		for _, own := range []string{"basic", "body", "none"} {
			if methods[own] == named {
				c.AuthMethod = own
			}
		}
	}
	if n, ok := members["client_secret_expires_at"].(json.Number); ok {
		if at, err := n.Int64(); err == nil && at > 0 {
			c.Expires = time.Unix(at, 0).UTC()
		}
	}
	switch {
	case c.ID == "" || len(c.ID) > 2048:
		return c, callerror.FoundMisconfigured("The authorization server registered a client without a client_id.")
	case c.AuthMethod == "":
		return c, callerror.FoundMisconfigured("The authorization server registered a client that authenticates in a way that is not known here.")
	case c.AuthMethod != "none" && secret == "":
		return c, callerror.FoundMisconfigured("The authorization server registered a client without a secret that is to authenticate with one.")
	case !c.Expires.IsZero() && !c.Expires.After(now):
		return c, callerror.FoundMisconfigured("The authorization server registered a client whose secret has expired already.")
	}
	return c, nil
}
