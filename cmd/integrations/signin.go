package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/cmd/integrations/status"
	"github.com/seed677028b5/integrations/connectors"
	pages "github.com/seed677028b5/integrations/console"
	"github.com/seed677028b5/integrations/domain"
)

// oidcFlags are whose tokens are accepted beside API keys.
type oidcFlags struct {
	Grants        string         `help:"YAML file that maps the claims of JWT access tokens to workspaces and permissions; it is read again when it changes. Default: API keys only." type:"path"`
	Issuer        string         `help:"URL of the OpenID provider whose tokens are accepted; default: that in the file of --oidc-grants."`
	Audience      []string       `help:"Names of this service in tokens (aud); default: those in the file of --oidc-grants."`
	ClientID      string         `help:"Id of this service at the OpenID provider, with which persons sign in to the console; its redirect URI is /console/.provider/callback below --public-url. Default: they sign in with API keys."`
	ClientSecret  string         `help:"Secret of that client; default: it is a public client." secret:""`
	AllowLoopback bool           `help:"The OpenID provider may be on this machine."`
	AllowCIDR     []netip.Prefix `name:"allow-cidr" help:"Private network that the OpenID provider may be on, such as 10.1.0.0/16; integrations may not call it."`
}

// check returns an error for flags that have no effect.
func (f oidcFlags) check() error {
	if f.Grants == "" && (f.Issuer != "" || len(f.Audience) > 0 || f.AllowLoopback || len(f.AllowCIDR) > 0) {
		return errors.New("--oidc-grants: without it no token permits anything; name the file that maps claims to permissions")
	}
	if f.Grants == "" && f.ClientID != "" || f.ClientID == "" && f.ClientSecret != "" {
		return errors.New("--oidc-client-id needs --oidc-grants, and --oidc-client-secret needs --oidc-client-id")
	}
	return nil
}

// tokens opens what accepts tokens, nil if none are. Its requests go out by the egress
// policy of integrations, and to the networks in f. The registry is for its listeners.
// The key seals the sessions of those who sign in with a browser.
func (f oidcFlags) tokens(egress connectors.Config, publicURL func() string, key []byte, log *slog.Logger) (*oidcauth.Tokens, *connectors.Registry, error) {
	if f.Grants == "" {
		return nil, nil, nil
	}
	egress.AllowLoopback = egress.AllowLoopback || f.AllowLoopback
	egress.AllowCIDRs = slices.Concat(egress.AllowCIDRs, f.AllowCIDR)
	egress.Profiles = nil
	out, err := connectors.New(egress)
	if err != nil {
		return nil, nil, err
	}
	send := func(r *http.Request) (*http.Response, error) {
		resp, err := out.Send(r)
		return resp, explain(err)
	}
	tokens, err := oidcauth.Open(oidcauth.Config{File: f.Grants, Issuer: f.Issuer, Audience: f.Audience, PublicURL: publicURL, Send: send, Key: key, Now: clock, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("--oidc-grants: %w", err)
	}
	return tokens, out, nil
}

// explain returns an error that names the flags which open a network for the OpenID
// provider alone, in place of one that names those for integrations.
func explain(err error) error {
	if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Code == string(domain.CallBlockedDestination) {
		return errors.New("the egress policy does not allow its address, or there is no such host; --oidc-allow-loopback and --oidc-allow-cidr allow it for the OpenID provider alone")
	}
	return err
}

// runTokens keeps tokens current until ctx ends, and answers `integrations status`.
func runTokens(ctx context.Context, tokens *oidcauth.Tokens, nc *nats.Conn) error {
	stop, err := status.AnswerSignIn(nc, nodeName(), tokens.Status)
	if err != nil {
		return err
	}
	defer stop()
	return tokens.Run(ctx)
}

// personSignIn is the sign-in of the console: its refusals are those of the API.
type personSignIn struct{ oidcauth.Client }

// signIn returns how persons sign in to the console with the OpenID provider, nil if they don't.
func (f oidcFlags) signIn(tokens *oidcauth.Tokens, publicURL string, log *slog.Logger) pages.SignIn {
	if f.ClientID == "" || tokens == nil {
		return nil
	}
	if publicURL == "" {
		log.Warn("persons can't sign in to the console with the OpenID provider, since the URL of this service is not known: set --public-url")
		return nil
	}
	return personSignIn{oidcauth.Client{Tokens: tokens, ID: f.ClientID, Secret: domain.NewSecret(f.ClientSecret)}}
}

// Begin implements console.SignIn.
func (p personSignIn) Begin(ctx context.Context, callback, state string, silent bool) (string, []byte, error) {
	to, secret, err := p.Client.Begin(ctx, callback, state, silent)
	return to, secret, refusalOf(err)
}

// Finish implements console.SignIn.
func (p personSignIn) Finish(ctx context.Context, callback string, secret []byte, came url.Values) (string, error) {
	credential, err := p.Client.Finish(ctx, callback, secret, came)
	return credential, refusalOf(err)
}

func refusalOf(err error) error {
	refused, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return err
	}
	status := map[domain.Kind]int{domain.Unavailable: http.StatusServiceUnavailable, domain.Forbidden: http.StatusForbidden, domain.Invalid: http.StatusBadRequest}
	return &pages.SignInError{Status: cmp.Or(status[refused.Kind], http.StatusUnauthorized), Code: refused.Code, Detail: refused.Message}
}
