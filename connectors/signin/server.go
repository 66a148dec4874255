package signin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/authserver"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// place is where tokens come from, as an auth has it.
type place struct {
	tokenURL string
	issuer   string // the one that is trusted. "": the upstream names one
	resource bool   // it is that of the resource, which takes an ID-JAG
}

func tokenPlace(a domain.Auth) place { return place{a.TokenURL, a.Issuer, false} }

func resourcePlace(a domain.Auth) place { return place{a.ResourceTokenURL, a.ResourceIssuer, true} }

// given returns the URL that a secret for p was given for: base, when the upstream there
// names the authorization server.
func (p place) given(base string) string { return cmp.Or(p.tokenURL, p.issuer, base) }

// server returns the authorization server of a place: the configured one, else the one that
// the upstream names (RFC 9728), from its metadata (RFC 8414). The secrets go to the one that
// they were first sent to: one that the upstream names later is not trusted.
func (i *issuer) server(ctx context.Context, s signing, p place) (domain.AuthorizationServer, *callerror.Error) {
	if p.tokenURL != "" {
		return domain.AuthorizationServer{TokenEndpoint: p.tokenURL}, nil
	}
	w := authserver.Wanted{Issuer: p.issuer}
	if s.Integration.Protocol == domain.MCP {
		w.MCPURL = s.Integration.MCPURL
	}
	at := p.given(w.MCPURL)
	secret, sends := s.sentTo(p)
	var known pin
	var e *callerror.Error
	if sends {
		if known, e = i.pinned(ctx, s, secret, at); e != nil {
			return domain.AuthorizationServer{}, e
		}
	}
	w.Pinned = known.Issuer
	server, e := authserver.FindForClient(ctx, i.client, w)
	if e != nil || !sends {
		return server, e
	}
	found := pin{server.Issuer, domain.Origin(server.TokenEndpoint)}
	if known == (pin{}) {
		if known, e = i.keepPin(ctx, s, secret, at, found); e != nil {
			return server, e
		}
	}
	switch {
	case !authserver.SameIssuer(known.Issuer, found.Issuer):
		e = moved("the authorization server", found.Issuer, known.Issuer, p.member("issuer"))
	case known.Endpoint != found.Endpoint:
		e = moved("a token endpoint at", found.Endpoint, known.Endpoint, p.member("token_url"))
	}
	return server, e
}

// member returns the name of a member of the auth that is about p.
func (p place) member(name string) string {
	if p.resource {
		return "resource_" + name
	}
	return name
}

// sentTo returns the first secret that goes to a place, and whether there is one. The place
// is pinned for that one.
func (s signing) sentTo(p place) (usedSecret, bool) {
	at := slices.IndexFunc(s.refs, func(one usedSecret) bool { return p.resource && one.use.Resource || !p.resource && one.use.Token })
	if at < 0 && p.resource { // what the identity provider gives for the subject token goes there
		at = slices.IndexFunc(s.refs, func(one usedSecret) bool { return one.use.Token })
	}
	if at < 0 {
		return usedSecret{}, false
	}
	return s.refs[at], true
}

// moved returns the error of a server that names another place for a secret than before.
func moved(what, now, before, field string) *callerror.Error {
	e := callerror.FoundMisconfigured("The server names %s %s by now, and it was %s when these credentials were first used. "+
		"If that is as it should be, give the secret again or set %s.", what, now, before, field)
	e.Clean = false // what a server names may hold anything
	return e
}

// withResource adds the scopes, and the resource that a token is for (RFC 8707): as they are
// configured, else as the upstream names them.
func withResource(a domain.Auth, server domain.AuthorizationServer, params map[string]string) map[string]string {
	scopes := a.Scopes
	switch {
	case len(scopes) > 0:
	case server.ChallengeNamesScopes:
		scopes = server.ChallengeScopes
	default:
		scopes = server.ResourceScopes
	}
	if len(scopes) > 0 {
		params["scope"] = strings.Join(scopes, " ")
	}
	if resource := cmp.Or(a.Resource, server.Resource); resource != "" && resource != domain.NoResource {
		params["resource"] = resource
	}
	return params
}
