// Package authserver finds the authorization server of an integration, and registers this
// service there as a client.
//
// Its promise: each request goes through the egress policy, none follows a redirect, and
// no document is believed that speaks for another origin than the one that it should.
package authserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxDocument = 256 << 10 // bytes of a document
	maxValues   = 8192      // in a document
	maxServers  = 5         // authorization servers of one resource that are tried
)

// A Finder finds authorization servers.
type Finder struct {
	Client *egress.Client

	machine bool // a client gets tokens for itself: nobody is sent to the server
	steps   []domain.ProbeStep
}

// Find returns the authorization server that an integration is configured with, or the one
// that its upstream names (RFC 9728, RFC 8414, OpenID Connect Discovery 1.0). It also
// returns what it did, step by step.
func Find(ctx context.Context, client *egress.Client, i domain.Integration) (domain.AuthorizationServer, []domain.ProbeStep, *callerror.Error) {
	f := &Finder{Client: client}
	server, e := f.find(ctx, i)
	if e != nil {
		f.steps = append(f.steps, domain.ProbeStep{Name: "authorization_server", Detail: e.Sentence})
		return server, f.steps, e
	}
	switch a := i.Auth; a.Resource {
	case "":
	case domain.NoResource:
		server.Resource = ""
	default:
		server.Resource = a.Resource
	}
	return server, f.steps, nil
}

func (f *Finder) note(name, format string, args ...any) {
	f.steps = append(f.steps, domain.ProbeStep{Name: name, OK: true, Detail: fmt.Sprintf(format, args...)})
}

func (f *Finder) find(ctx context.Context, i domain.Integration) (domain.AuthorizationServer, *callerror.Error) {
	a := i.Auth
	if a.TokenURL != "" {
		f.note("authorization_server", "The authorization server is the configured one.")
		return domain.AuthorizationServer{
			Issuer: a.Issuer, AuthorizationEndpoint: a.AuthorizationURL, TokenEndpoint: a.TokenURL, RevocationEndpoint: a.RevocationURL,
		}, nil
	}
	if i.Protocol == domain.FHIR && a.Issuer == "" {
		return f.smart(ctx, i.BaseURL, *a)
	}
	if i.Protocol != domain.MCP {
		return f.server(ctx, a.Issuer, *a)
	}
	met := f.challenge(ctx, i.MCPURL)
	resource, e := f.resource(ctx, i.MCPURL, met)
	if e != nil {
		return domain.AuthorizationServer{}, e
	}
	server, e := f.first(ctx, i.MCPURL, resource, *a)
	if e != nil {
		return server, e
	}
	return describe(server, i.MCPURL, resource, met), nil
}

// describe adds what a resource says of itself to its authorization server.
func describe(server domain.AuthorizationServer, mcpURL string, resource resource, met map[string]string) domain.AuthorizationServer {
	server.Resource, server.ResourceScopes = resource.name, resource.scopes
	if server.Resource == "" {
		server.Resource = mcpURL
	}
	server.ChallengeScopes, server.ChallengeNamesScopes = domain.SplitScopes(met["scope"]), met["scope"] != ""
	return server
}

// first returns the first authorization server of a resource that works: the trusted one,
// if one is named. One is fixed for the whole attempt.
func (f *Finder) first(ctx context.Context, mcpURL string, r resource, a domain.Auth) (domain.AuthorizationServer, *callerror.Error) {
	if a.Issuer != "" {
		if len(r.servers) > 0 && !slices.ContainsFunc(r.servers, func(s string) bool { return sameIssuer(s, a.Issuer) }) {
			f.note("authorization_server", "The resource names %s, and the trusted issuer is %s.", strings.Join(r.servers, ", "), a.Issuer)
		}
		return f.server(ctx, a.Issuer, a)
	}
	if len(r.servers) == 0 {
		return f.legacy(ctx, mcpURL, a)
	}
	var last *callerror.Error
	for _, issuer := range r.servers[:min(len(r.servers), maxServers)] {
		server, e := f.server(ctx, issuer, a)
		if e == nil {
			return server, nil
		}
		last = e
	}
	return domain.AuthorizationServer{}, last
}

// server reads the metadata of an issuer: with the path inserted and appended, as OAuth and
// as OpenID Connect have it.
func (f *Finder) server(ctx context.Context, issuer string, a domain.Auth) (domain.AuthorizationServer, *callerror.Error) {
	target, err := url.Parse(issuer)
	if err != nil || !domain.SecureURL(issuer) {
		return domain.AuthorizationServer{}, callerror.FoundMisconfigured("The authorization server %q is not an https URL.", issuer)
	}
	var last *callerror.Error
	for _, at := range metadataURLs(target) {
		members, e := f.fetch(ctx, at)
		if e != nil {
			f.note("authorization_server", "%s has no metadata: %s", at, e.Sentence)
			continue
		}
		server, e := f.readServer(issuer, members, a)
		if e == nil {
			f.note("authorization_server", "%s describes the authorization server %s.", at, server.Issuer)
			return server, nil
		}
		f.note("authorization_server", "%s can't be used: %s", at, e.Sentence)
		last = e
	}
	if last == nil && f.machine {
		last = callerror.FoundMisconfigured("The authorization server %s has no metadata (RFC 8414). Configure token_url.", issuer)
	}
	if last == nil {
		last = callerror.FoundMisconfigured("The authorization server %s has no metadata (RFC 8414). Configure authorization_url and token_url.", issuer)
	}
	return domain.AuthorizationServer{}, last
}

func metadataURLs(issuer *url.URL) []string {
	origin, path := issuer.Scheme+"://"+issuer.Host, strings.TrimRight(issuer.EscapedPath(), "/")
	urls := []string{origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path}
	if path != "" {
		urls = append(urls, origin+path+"/.well-known/openid-configuration", origin+path+"/.well-known/oauth-authorization-server")
	}
	return urls
}

// legacy is the flow of MCP 2025-03-26, where the MCP server is its own authorization server.
func (f *Finder) legacy(ctx context.Context, mcpURL string, a domain.Auth) (domain.AuthorizationServer, *callerror.Error) {
	target, err := url.Parse(mcpURL)
	if err != nil {
		return domain.AuthorizationServer{}, callerror.Misconfigured("The mcp_url of this integration is not set, or is not an http or https URL.")
	}
	origin := target.Scheme + "://" + target.Host
	if !domain.SecureURL(origin) {
		return domain.AuthorizationServer{}, callerror.FoundMisconfigured("The MCP server names no authorization server, and it has no TLS itself. Configure issuer, or authorization_url and token_url.")
	}
	members, e := f.fetch(ctx, origin+"/.well-known/oauth-authorization-server")
	if e == nil {
		f.note("authorization_server", "The MCP server is its own authorization server, as in MCP 2025-03-26.")
		issuer := origin // nobody has advertised one, so any of the same origin will do
		if named, _ := members["issuer"].(string); domain.Origin(named) == domain.Origin(origin) {
			issuer = named
		}
		return f.readServer(issuer, members, a)
	}
	if f.machine { // a secret is not sent to an endpoint that nobody names
		return domain.AuthorizationServer{}, callerror.FoundMisconfigured("The MCP server names no authorization server. Configure issuer or token_url.")
	}
	f.note("authorization_server", "The MCP server has no metadata of an authorization server, so its default endpoints are used, as in MCP 2025-03-26.")
	return domain.AuthorizationServer{
		Issuer: origin, AuthorizationEndpoint: origin + "/authorize", TokenEndpoint: origin + "/token", RegistrationEndpoint: origin + "/register",
	}, nil
}

// readServer reads metadata of RFC 8414 or OpenID Connect Discovery 1.0 that was found for
// an issuer.
func (f *Finder) readServer(issuer string, members map[string]any, a domain.Auth) (domain.AuthorizationServer, *callerror.Error) {
	text := func(name string) string { s, _ := members[name].(string); return s }
	server := domain.AuthorizationServer{
		Issuer: text("issuer"), AuthorizationEndpoint: text("authorization_endpoint"), TokenEndpoint: text("token_endpoint"),
		RevocationEndpoint: text("revocation_endpoint"), RegistrationEndpoint: text("registration_endpoint"),
		AuthMethods: texts(members["token_endpoint_auth_methods_supported"]), GrantTypes: texts(members["grant_types_supported"]), Scopes: texts(members["scopes_supported"]),
	}
	server.NamesIssuer, _ = members["authorization_response_iss_parameter_supported"].(bool)
	server.ClientDocuments, _ = members["client_id_metadata_document_supported"].(bool)
	if !sameIssuer(server.Issuer, issuer) && !sameIssuer(server.Issuer, a.Issuer) && !isTenant(server.Issuer, issuer) {
		return server, callerror.FoundMisconfigured("The metadata of the authorization server %s names the issuer %q. Name that one as issuer if it is to be trusted.", issuer, server.Issuer)
	}
	for _, endpoint := range []struct{ name, url string }{{"authorization_endpoint", server.AuthorizationEndpoint}, {"token_endpoint", server.TokenEndpoint}} {
		if !domain.SecureURL(endpoint.url) && (!f.machine || endpoint.name == "token_endpoint") {
			return server, callerror.FoundMisconfigured("The %s of the authorization server %s is not an https URL.", endpoint.name, issuer)
		}
	}
	for _, optional := range []*string{&server.RevocationEndpoint, &server.RegistrationEndpoint} {
		if !domain.SecureURL(*optional) {
			*optional = ""
		}
	}
	if methods := texts(members["code_challenge_methods_supported"]); !f.machine && !slices.Contains(methods, "S256") && a.PKCE != "assume" {
		return server, callerror.FoundMisconfigured("The authorization server %s does not name the PKCE method S256. Set pkce to assume if it has it all the same.", issuer)
	}
	return server, nil
}

// sameIssuer compares issuers byte for byte, but for a slash that is the whole path.
func sameIssuer(a, b string) bool {
	root := func(s string) string {
		if u, err := url.Parse(s); err == nil && u.Path == "/" && u.RawQuery == "" {
			return strings.TrimSuffix(s, "/")
		}
		return s
	}
	return a != "" && root(a) == root(b)
}

var tenantIssuer = regexp.MustCompile(`^https://login\.microsoftonline\.com/(common|organizations|consumers)/v2\.0$`)

// isTenant reports whether an issuer is the placeholder of Entra for any tenant.
func isTenant(named, issuer string) bool {
	return named == "https://login.microsoftonline.com/{tenantid}/v2.0" && tenantIssuer.MatchString(issuer)
}

func texts(v any) []string {
	elements, _ := v.([]any)
	var all []string
	for _, element := range elements {
		if s, ok := element.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// fetch gets a JSON object.
func (f *Finder) fetch(ctx context.Context, at string) (map[string]any, *callerror.Error) {
	target, err := url.Parse(at)
	if err != nil || target.Host == "" {
		return nil, callerror.Misconfigured("The URL can't be called.")
	}
	got, e := f.Client.Do(ctx, &egress.Request{Method: http.MethodGet, URL: target, MaxAnswer: maxDocument, Header: http.Header{
		"User-Agent": {f.Client.UserAgent}, "Accept": {"application/json"}, "Mcp-Protocol-Version": {"2025-11-25"},
	}})
	if e != nil {
		return nil, e
	}
	return readObject(got)
}

func readObject(got egress.Answer) (map[string]any, *callerror.Error) {
	if e := callerror.OfStatus(got.Status); e != nil {
		return nil, &callerror.Error{Code: e.Code, Sentence: fmt.Sprintf("it answered %d.", got.Status)}
	}
	if got.Truncated || jsonvalue.CountMarks(got.Body) > maxValues {
		return nil, callerror.Upstream("its answer is too long.")
	}
	decoded, _ := jsonvalue.Decode(got.Body)
	members, ok := decoded.(map[string]any)
	if !ok {
		return nil, callerror.Upstream("its answer is not a JSON object.")
	}
	return members, nil
}
