package domain

import (
	"fmt"
	"maps"
	"slices"
)

// reservedAuthorizationParams are the parameters of an authorization request that the
// service sets.
var reservedAuthorizationParams = []string{
	"response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope", "resource", "request", "request_uri", "response_mode",
}

// readConsent reads the members of AuthorizationCode.
func (a *Auth) readConsent(in *object) {
	short := length(1, 2048)
	if in.null("registration") {
		a.Registration = RegistrationAuto
	}
	if in.null("client_auth_method") {
		a.ClientAuthMethod = ""
	}
	if in.null("pkce") {
		a.PKCE = ""
	}
	if in.null("keep_alive_seconds") {
		a.KeepAliveSeconds = nil
	}
	if v, _ := in.given("keep_alive_seconds"); v != nil {
		a.KeepAliveSeconds = new(int)
		in.integer("keep_alive_seconds", a.KeepAliveSeconds, 0, 365*24*3600)
		if s := *a.KeepAliveSeconds; s != 0 && s < int(MinKeepAlive.Seconds()) {
			in.problem("keep_alive_seconds", "too_small", "must be 0 or at least 3600")
		}
	}
	if in.null("token_default_seconds") {
		a.DefaultTTLSeconds = 0
	}
	if in.null("redirect") {
		a.Redirect = ""
	}
	if in.null("offline_access") {
		a.OfflineAccess = ""
	}
	in.boolean("dpop", &a.DPoP)
	choice(in, "registration", &a.Registration, RegistrationAuto, RegistrationPreRegistered, RegistrationDocument, RegistrationDynamic)
	in.nullableText("client_id", &a.ClientID, short, noControl)
	choice(in, "client_auth_method", &a.ClientAuthMethod, "basic", "basic_raw", "body", "none")
	in.nullableText("issuer", &a.Issuer, webURL, secureURL)
	in.nullableText("authorization_url", &a.AuthorizationURL, ofAccount(webURL, secureURL))
	in.nullableText("token_url", &a.TokenURL, ofAccount(webURL, secureURL))
	in.nullableText("revocation_url", &a.RevocationURL, ofAccount(webURL, secureURL))
	choice(in, "redirect", &a.Redirect, OwnRedirect, SharedRedirect)
	choice(in, "offline_access", &a.OfflineAccess, "omit")
	in.nullableText("resource", &a.Resource, short, noControl, resourceName)
	choice(in, "pkce", &a.PKCE, "assume")
	in.boolean("scope_on_refresh", &a.ScopeOnRefresh)
	in.boolean("require_all_scopes", &a.RequireAllScopes)
	in.integer("token_default_seconds", &a.DefaultTTLSeconds, 30, 365*24*3600)
	readScopes(in, &a.Scopes)
	a.readAuthorizationParams(in)
	a.readTokenResponse(in)
	a.readCapture(in)
	in.required("authorization_url", a.AuthorizationURL != "" || a.TokenURL == "")
	in.required("token_url", a.TokenURL != "" || a.AuthorizationURL == "")
	in.required("client_id", a.ClientID != "" || a.Registration != RegistrationPreRegistered && a.TokenURL == "")
}

func (a *Auth) readAuthorizationParams(in *object) {
	given := givenSecrets{}
	given.readValues(in, "authorization_params", &a.AuthorizationParams, maxTokenValues, paramName, []rule{length(0, 4096), noControl}, []rule{length(1, maxSecret)})
	params := newObject(in.pointer("authorization_params"), nil, in.problems)
	for _, name := range slices.Sorted(maps.Keys(a.AuthorizationParams)) {
		switch {
		case a.AuthorizationParams[name] == nil:
			params.problem(name, "type", "must be a string: what a browser is sent to can't be secret")
		case slices.Contains(reservedAuthorizationParams, name):
			params.problem(name, "not_allowed", "is a parameter that the service sets")
		}
	}
}

func (a *Auth) readTokenResponse(in *object) {
	if in.null("token_response") {
		in.known["token_response"], a.TokenResponse = true, nil
	}
	in.object("token_response", func(o *object) {
		var next TokenResponse
		for name, into := range map[string]*string{
			"access_token": &next.AccessToken, "refresh_token": &next.RefreshToken, "expires_in": &next.ExpiresIn,
			"scope": &next.Scope, "ok": &next.OK, "account": &next.Account,
		} {
			o.nullableText(name, into, length(1, 512), tokenPlace)
		}
		o.done()
		a.TokenResponse = &next
	})
}

// refuseConsent refuses AuthorizationCode where no authorization could be kept for it: an
// integration has one for each subject.
func (i *Integration) refuseConsent(o *object) {
	for n, e := range i.Endpoints {
		if e.Auth != nil && e.Auth.Type == AuthorizationCode {
			newObject(fmt.Sprintf("/endpoints/%d/auth", n), nil, o.problems).problem("type", "not_allowed", "is for the auth of the integration only: a person consents to all of its endpoints")
		}
	}
	if i.Auth == nil || i.Auth.Type != AuthorizationCode {
		return
	}
	at := newObject("/auth", nil, o.problems)
	if i.Auth.TokenAnswer == "text" {
		at.problem("token_answer", "not_allowed", "can't be text: what comes beside the token is needed")
	}
	if i.Protocol == MCP && i.MCPTransport == Stdio {
		at.problem("type", "not_allowed", "can't be used with a program: it has no authorization server")
	}
	if i.Protocol == REST && i.Auth.TokenURL == "" && i.Auth.Issuer == "" {
		at.required("authorization_url", false)
	}
}
