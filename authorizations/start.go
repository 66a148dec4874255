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
	By             string            // the id of the API key
	ReplaceAccount bool              // the person may sign in as somebody else than before
	Reregister     bool              // a client that registered itself is registered again
	MayReuse       bool              // a link that is still good is returned again
	Account        map[string]string // values of the account that are known, by the names of captures
	ReturnURL      string            // where the person goes afterwards. Empty: they see a page of ours
	Confirm        bool              // the tokens are held unused until Confirm
}

// Started is a link by which a person may consent.
type Started struct {
	URL       string
	Position  uint64 // of the event in the log; 0: there is none
	ExpiresAt time.Time
	Redirect  string             // the address that the authorization server must know
	Steps     []domain.ProbeStep // what was done to find the authorization server
}

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
	redirect, err := a.redirectURL(i)
	if err != nil {
		return Started{}, err
	}
	if s.MayReuse {
		t, link, ok, err := a.latestAttempt(ctx, k)
		if err != nil {
			return Started{}, err
		}
		if ok && link != "" && t.State == Pending && t.fits(i) && t.RedirectURI == redirect && a.Now().Add(reuseTime).Before(t.ExpiresAt) {
			return Started{URL: public + "/oauth/authorize/" + link, ExpiresAt: t.ExpiresAt, Redirect: redirect}, nil
		}
	}
	if err := a.mayReturn(s.ReturnURL, s.Confirm); err != nil {
		return Started{}, err
	}
	values, err := givenValues(*i.Auth, s.Account)
	if err != nil {
		return Started{}, err
	}
	server, steps, err := a.Upstream.FindAuthorizationServer(ctx, i)
	if err != nil {
		return Started{Steps: steps}, err
	}
	if err := atStart(*i.Auth, &server, values); err != nil {
		return Started{Steps: steps}, err
	}
	wanted, err := a.wantedScopes(ctx, k, *i.Auth, server)
	if err != nil {
		return Started{Steps: steps}, err
	}
	client, registered, err := a.client(ctx, u, k, server, redirect, wanted, s.Reregister)
	if err != nil {
		return Started{Steps: append(steps, domain.ProbeStep{Name: "client", Detail: sentence(err)})}, err
	}
	steps = append(steps, domain.ProbeStep{Name: "client", OK: true, Detail: "The service is the client " + client.ID + "."})
	id, verifier, now := random(), random()+random(), a.Now()
	t := attempt{
		Workspace: i.Workspace, Integration: i.ID, Incarnation: i.Incarnation, Name: i.DisplayName, Hash: k.hash, By: s.By, CreatedAt: now, ExpiresAt: now.Add(attemptTime),
		State: Pending, Server: server, ClientID: client.ID, ClientMethod: client.AuthMethod, Registered: registered, RedirectURI: redirect, Scopes: wanted,
		Binding: i.ConsentBinding(), ReplaceAccount: s.ReplaceAccount, Account: values, ReturnURL: s.ReturnURL, Confirm: s.Confirm,
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
	c, err := a.change(ctx, k, s.By, func(domain.Authorization) (domain.AuthorizationEvent, error) {
		return a.started(u, domain.AuthorizationStarted{Attempt: l.Attempt, By: s.By, Scopes: wanted, At: now}), nil
	})
	if err != nil {
		return Started{Steps: steps}, err
	}
	return Started{URL: public + "/oauth/authorize/" + id, Position: c.position, ExpiresAt: t.ExpiresAt, Redirect: redirect, Steps: steps}, nil
}

// started names what an attempt is for.
func (a *Authorizations) started(u Use, e domain.AuthorizationStarted) domain.AuthorizationStarted {
	i := u.Integration
	e.Name, e.Incarnation, e.Subject = i.Name, i.Incarnation, a.SubjectHash(i.Workspace, u.Subject)
	return e
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
	if auth.OfflineAccess != "omit" && wantsOfflineAccess(server, len(wanted) > 0) {
		more = append(more, offlineAccess)
	}
	for _, scope := range more {
		if !slices.Contains(wanted, scope) {
			wanted = append(wanted, scope)
		}
	}
	return wanted, nil
}

// offlineAccess is the scope that asks for a refresh token (OpenID Connect Core 1.0, 11).
const offlineAccess = "offline_access"

// wantsOfflineAccess reports whether a server gives refresh tokens for that scope: it lists
// it, or lists no scopes and names refresh tokens among its grants, or is known to. One that
// lists others must not be asked (MCP, SEP-2207). Some that give them without
// refuse the scope. One that asks for no scopes of its own gives its default ones, and only
// as long as nothing is asked for.
func wantsOfflineAccess(server domain.AuthorizationServer, scoped bool) bool {
	u, err := url.Parse(server.AuthorizationEndpoint)
	switch {
	case err != nil, u.Host == "accounts.google.com", strings.HasSuffix(u.Host, ".supabase.co"):
		return false
	case u.Host == "login.microsoftonline.com":
		return true
	case slices.Contains(server.Scopes, offlineAccess):
		return server.GrantTypes == nil || slices.Contains(server.GrantTypes, "refresh_token")
	}
	return scoped && server.Scopes == nil && slices.Contains(server.GrantTypes, "refresh_token")
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
	if err == nil && json.Unmarshal([]byte(text.Reveal()), &known) == nil && !again && known.good(a.Now()) {
		return domain.OAuthClient{ID: known.ID, Secret: domain.NewSecret(known.Secret), AuthMethod: known.Method}, nil
	}
	made, err := a.Upstream.RegisterClient(ctx, server, domain.ClientMetadata{
		RedirectURI: redirect, Method: u.Integration.Auth.ClientAuthMethod, Scopes: scopes, Refresh: server.GrantTypes == nil || slices.Contains(server.GrantTypes, "refresh_token"),
	})
	if err != nil {
		return domain.OAuthClient{}, err
	}
	data, err := json.Marshal(registration{ID: made.ID, Secret: made.Secret.Reveal(), Method: made.AuthMethod, Expires: made.Expires, Made: a.Now()})
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
	_, err = a.change(ctx, k, "", func(domain.Authorization) (domain.AuthorizationEvent, error) {
		return domain.ClientRegistered{Name: u.Integration.Name, Issuer: server.Issuer, ClientID: made.ID, At: a.Now()}, nil
	})
	return made.OAuthClient, err
}

// authorizeURL returns where a browser is sent to.
func authorizeURL(t attempt, i domain.Integration, state, verifier string) (string, error) {
	target, err := url.Parse(t.Server.AuthorizationEndpoint)
	if err != nil || !domain.SecureURL(t.Server.AuthorizationEndpoint) {
		return "", domain.Errorf(domain.Conflict, "authorization_endpoint_invalid", "the authorization endpoint is not an https URL")
	}
	sum := sha256.Sum256([]byte(verifier))
	q := target.Query()
	if i.Protocol == domain.FHIR && !domain.UsesAccount(i.BaseURL) {
		q.Set("aud", i.BaseURL) // HL7 SMART App Launch 2.2, 2.0.9: byte for byte
	}
	for name, value := range i.Auth.AuthorizationParams {
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
	if slices.Contains(t.Scopes, offlineAccess) && q.Get("prompt") == "" {
		q.Set("prompt", "consent") // OpenID Connect Core 1.0, 11
	}
	if t.Server.Resource != "" {
		q.Set("resource", t.Server.Resource)
	}
	target.RawQuery = q.Encode()
	return target.String(), nil
}
