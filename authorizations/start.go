package authorizations

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// Start is what somebody asks for who wants a person's consent.
type Start struct {
	By             string // the id of the API key
	ReplaceAccount bool   // the person may sign in as somebody else than before
	Reregister     bool   // a client that registered itself is registered again
	MayReuse       bool   // a link that is still good is returned again
}

// Started is a link by which a person may consent.
type Started struct {
	URL       string
	ExpiresAt time.Time
	Steps     []domain.ProbeStep // what was done to find the authorization server
}

// CallbackPath is where authorization servers send persons back to, below the public URL.
const CallbackPath = "/oauth/callback"

// Start makes a link by which a person may consent. It changes nothing of an authorization
// that there is. It refuses with Conflict when the authorization server can't be used; the
// steps are returned beside the error.
func (a *Authorizations) Start(ctx context.Context, u Use, s Start) (Started, error) {
	i, k := u.Integration, a.key(u)
	public := a.PublicURL()
	switch {
	case !i.Consents():
		return Started{}, domain.Errorf(domain.Conflict, "no_consent_needed", "the integration %q has no auth of the type oauth2_authorization_code", i.Name)
	case public == "":
		return Started{}, domain.Errorf(domain.Conflict, "public_url_missing", "nobody can sign in: start the service with --public-url, the URL under which browsers reach it")
	}
	if s.MayReuse {
		t, link, ok, err := a.latestAttempt(ctx, k)
		if err != nil {
			return Started{}, err
		}
		if ok && link != "" && t.State == Pending && t.Incarnation == i.Incarnation && t.Binding == i.ConsentBinding() && a.Now().Add(reuseTime).Before(t.ExpiresAt) {
			return Started{URL: public + "/oauth/authorize/" + link, ExpiresAt: t.ExpiresAt}, nil
		}
	}
	server, steps, err := a.Upstream.FindAuthorizationServer(ctx, i)
	if err != nil {
		return Started{Steps: steps}, err
	}
	wanted, err := a.wantedScopes(ctx, k, *i.Auth, server)
	if err != nil {
		return Started{Steps: steps}, err
	}
	redirect := public + CallbackPath
	client, registered, err := a.client(ctx, u, k, server, redirect, wanted, s.Reregister)
	if err != nil {
		return Started{Steps: append(steps, domain.ProbeStep{Name: "client", Detail: sentence(err)})}, err
	}
	steps = append(steps, domain.ProbeStep{Name: "client", OK: true, Detail: "The service is the client " + client.ID + "."})
	id, verifier, now := random(), random()+random(), a.Now()
	t := attempt{
		Workspace: i.Workspace, Integration: i.ID, Incarnation: i.Incarnation, Name: i.DisplayName, Hash: k.hash, By: s.By, CreatedAt: now, ExpiresAt: now.Add(attemptTime),
		State: Pending, Server: server, ClientID: client.ID, ClientMethod: client.AuthMethod, Registered: registered, RedirectURI: redirect, Scopes: wanted,
		Binding: i.ConsentBinding(), ReplaceAccount: s.ReplaceAccount,
	}
	var l latest
	if t.Verifier, err = a.Vault.Opaque(verifierPurpose, verifier); err == nil {
		l.Link, err = a.Vault.Opaque(linkPurpose, id)
	}
	if err != nil {
		return Started{}, err
	}
	l.Attempt = hashOf(id)
	if err := a.rememberSubject(ctx, u, k); err != nil {
		return Started{Steps: steps}, err
	}
	if err := a.storeAttempt(ctx, l.Attempt, t, 0); err != nil {
		return Started{Steps: steps}, err
	}
	if err := a.setLatest(ctx, k, l); err != nil {
		return Started{Steps: steps}, err
	}
	if _, _, err := a.change(ctx, k, func(domain.Authorization) (domain.AuthorizationEvent, error) {
		return domain.AuthorizationStarted{Attempt: l.Attempt, Incarnation: i.Incarnation, By: s.By, Scopes: wanted, At: now}, nil
	}); err != nil {
		return Started{Steps: steps}, err
	}
	return Started{URL: public + "/oauth/authorize/" + id, ExpiresAt: t.ExpiresAt, Steps: steps}, nil
}

func sentence(err error) string {
	text := strings.TrimRight(err.Error(), ".")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// rememberSubject seals the text of a subject, once.
func (a *Authorizations) rememberSubject(ctx context.Context, u Use, k key) error {
	owner, ref := u.Integration.Owner(), subjectRef(k)
	if _, err := a.Vault.Open(ctx, owner, ref); err == nil || domain.KindOf(err) != domain.Invalid {
		return err
	}
	return a.Vault.Seal(ctx, owner, domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(u.Subject)})
}

// wantedScopes returns the scopes to ask for: the configured ones, else those of the
// challenge, else those of the resource, else none; never those of the server. What was
// found missing since is added, and so is what was asked for before: a consent to less
// would take the rest away.
func (a *Authorizations) wantedScopes(ctx context.Context, k key, auth domain.Auth, server domain.AuthorizationServer) ([]string, error) {
	wanted := slices.Clone(auth.Scopes)
	switch {
	case len(wanted) > 0:
	case server.ChallengeNamesScopes:
		wanted = slices.Clone(server.ChallengeScopes)
	default:
		wanted = slices.Clone(server.ResourceScopes)
	}
	more, err := a.stepUp(ctx, k)
	if err != nil {
		return nil, err
	}
	if len(more) > 0 {
		state, err := a.load(ctx, k)
		if err != nil {
			return nil, err
		}
		more = append(slices.Clone(state.Requested), more...)
	}
	if slices.Contains(server.Scopes, "offline_access") && (server.GrantTypes == nil || slices.Contains(server.GrantTypes, "refresh_token")) || isEntra(server) {
		more = append(more, "offline_access")
	}
	for _, scope := range more {
		if !slices.Contains(wanted, scope) {
			wanted = append(wanted, scope)
		}
	}
	return wanted, nil
}

func isEntra(server domain.AuthorizationServer) bool {
	u, err := url.Parse(server.AuthorizationEndpoint)
	return err == nil && u.Host == "login.microsoftonline.com"
}

// client returns who the service is at an authorization server: the configured client, a
// document that describes it, or one that it registers (MCP 2025-11-25, client registration).
func (a *Authorizations) client(ctx context.Context, u Use, k key, server domain.AuthorizationServer, redirect string, scopes []string, again bool) (domain.OAuthClient, bool, error) {
	auth := u.Integration.Auth
	_, hasSecret := auth.Secrets[domain.ClientSecretField]
	auto := auth.Registration == domain.RegistrationAuto
	switch {
	case auth.ClientID != "":
		return domain.OAuthClient{ID: auth.ClientID, AuthMethod: a.Upstream.ClientAuthMethod(auth.ClientAuthMethod, server, hasSecret)}, false, nil
	case auth.Registration == domain.RegistrationDocument, auto && server.ClientDocuments && a.documentsReachable():
		id, err := a.DocumentURL(u.Integration)
		return domain.OAuthClient{ID: id, AuthMethod: "none"}, false, err
	case auto || auth.Registration == domain.RegistrationDynamic:
		client, err := a.registeredClient(ctx, u, k, server, redirect, scopes, again)
		return client, true, err
	}
	return domain.OAuthClient{}, false, domain.Errorf(domain.Conflict, "client_id_missing", "configure client_id: the authorization server must know this service")
}

// registration is a registered client, sealed in the vault.
type registration struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"`
	Method  string    `json:"method"`
	Expires time.Time `json:"expires,omitzero"`
}

func clientRef(server domain.AuthorizationServer, redirect string) domain.SecretRef {
	return domain.SecretRef{ID: clientSecret + hashOf(server.Issuer+"\x00"+server.TokenEndpoint+"\x00"+redirect), Field: "client", Version: 1}
}

// registeredClient returns the client that the service has registered for an integration at
// a server, and registers it first if there is none, or if it has expired. Grants keep the
// client that they were given to.
func (a *Authorizations) registeredClient(ctx context.Context, u Use, k key, server domain.AuthorizationServer, redirect string, scopes []string, again bool) (domain.OAuthClient, error) {
	owner, ref := u.Integration.Owner(), clientRef(server, redirect)
	var known registration
	text, revision, err := a.Vault.OpenLatest(ctx, owner, ref)
	if err != nil && domain.CodeOf(err) != "secret_missing" {
		return domain.OAuthClient{}, err
	}
	if err == nil && json.Unmarshal([]byte(text.Reveal()), &known) == nil && !again && (known.Expires.IsZero() || a.Now().Add(attemptTime).Before(known.Expires)) {
		return domain.OAuthClient{ID: known.ID, Secret: domain.NewSecret(known.Secret), AuthMethod: known.Method}, nil
	}
	made, err := a.Upstream.RegisterClient(ctx, server, domain.ClientMetadata{
		RedirectURI: redirect, Method: u.Integration.Auth.ClientAuthMethod, Scopes: scopes, Refresh: server.GrantTypes == nil || slices.Contains(server.GrantTypes, "refresh_token"),
	})
	if err != nil {
		return domain.OAuthClient{}, err
	}
	data, err := json.Marshal(registration{ID: made.ID, Secret: made.Secret.Reveal(), Method: made.AuthMethod, Expires: made.Expires})
	if err != nil {
		return domain.OAuthClient{}, err
	}
	_, err = a.Vault.Replace(ctx, owner, domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(string(data))}, revision)
	if err == vault.ErrReplaced { //nolint:errorlint // another process has registered one, which is used
		return a.registeredClient(ctx, u, k, server, redirect, scopes, false)
	}
	if err != nil {
		return domain.OAuthClient{}, err
	}
	_, _, err = a.change(ctx, k, func(domain.Authorization) (domain.AuthorizationEvent, error) {
		return domain.ClientRegistered{Issuer: server.Issuer, ClientID: made.ID, At: a.Now()}, nil
	})
	return made.OAuthClient, err
}

// authorizeURL returns where a browser is sent to.
func authorizeURL(t attempt, auth domain.Auth, state, verifier string) (string, error) {
	target, err := url.Parse(t.Server.AuthorizationEndpoint)
	if err != nil || !domain.SecureURL(t.Server.AuthorizationEndpoint) {
		return "", domain.Errorf(domain.Conflict, "authorization_endpoint_invalid", "the authorization endpoint is not an https URL")
	}
	sum := sha256.Sum256([]byte(verifier))
	q := target.Query()
	for name, value := range auth.AuthorizationParams {
		if value != nil {
			q.Set(name, *value)
		}
	}
	if q.Get("access_type") == "offline" && q.Get("prompt") == "" {
		q.Set("prompt", "consent") // without it Google gives a refresh token the first time only
	}
	q.Set("response_type", "code")
	q.Set("client_id", t.ClientID)
	q.Set("redirect_uri", t.RedirectURI)
	q.Set("state", state)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	q.Set("code_challenge_method", "S256")
	if len(t.Scopes) > 0 {
		q.Set("scope", strings.Join(t.Scopes, " "))
	}
	if slices.Contains(t.Scopes, "offline_access") && q.Get("prompt") == "" {
		q.Set("prompt", "consent") // OpenID Connect Core 1.0, 11
	}
	if t.Server.Resource != "" {
		q.Set("resource", t.Server.Resource)
	}
	target.RawQuery = q.Encode()
	return target.String(), nil
}
