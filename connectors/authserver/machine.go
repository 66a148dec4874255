package authserver

import (
	"context"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// Wanted is an authorization server at which a client gets tokens for itself.
type Wanted struct {
	Issuer string // the one that is trusted. Empty: one that the MCP server names
	MCPURL string // of the MCP server. Empty: there is none
	Pinned string // the issuer that a secret was sent to before. Empty: none
}

// FindForClient returns an authorization server from its metadata, which need neither an
// authorization endpoint nor PKCE: no person is sent there. Of several servers that an MCP
// server names it takes the pinned or the trusted one, and none by chance. A server of another
// issuer than the pinned one is returned without asking it anything, with its issuer alone.
func FindForClient(ctx context.Context, client *egress.Client, w Wanted) (domain.AuthorizationServer, *callerror.Error) {
	f := &Finder{Client: client, machine: true}
	if w.MCPURL == "" {
		return f.server(ctx, w.Issuer, domain.Auth{})
	}
	met := f.challenge(ctx, w.MCPURL)
	resource, e := f.resource(ctx, w.MCPURL, met)
	if e != nil {
		return domain.AuthorizationServer{}, e
	}
	a := domain.Auth{Consent: domain.Consent{Issuer: w.Issuer}}
	switch at := slices.IndexFunc(resource.servers, func(issuer string) bool { return sameIssuer(issuer, w.Pinned) }); {
	case w.Issuer != "":
	case at >= 0:
		resource.servers = resource.servers[at : at+1]
	case w.Pinned != "" && len(resource.servers) > 0:
		return domain.AuthorizationServer{Issuer: resource.servers[0]}, nil
	case len(resource.servers) > 1:
		return domain.AuthorizationServer{}, callerror.FoundMisconfigured("The MCP server names several authorization servers: %s. Configure issuer.", strings.Join(resource.servers[:min(len(resource.servers), maxServers)], ", "))
	}
	server, e := f.first(ctx, w.MCPURL, resource, a)
	if e != nil {
		return server, e
	}
	return describe(server, w.MCPURL, resource, met), nil
}

// SameIssuer reports whether two issuers are one: byte for byte, but for a slash that is
// the whole path.
func SameIssuer(a, b string) bool { return sameIssuer(a, b) }

// SupportedMethods returns the ways to authenticate that a server names and that
// client_auth_method has, by its names for them.
func SupportedMethods(server domain.AuthorizationServer) []string {
	own := map[string]string{
		"client_secret_basic": "basic", "client_secret_post": "body", "private_key_jwt": "private_key_jwt", "client_secret_jwt": "client_secret_jwt",
		"none": "none", "tls_client_auth": "tls", "self_signed_tls_client_auth": "tls",
	}
	var all []string
	for _, named := range server.AuthMethods {
		if name, ok := own[named]; ok && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
