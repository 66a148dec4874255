package commands

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
)

// use returns an integration as it is now, for a subject.
func (s *Service) use(ctx context.Context, w domain.Workspace, id domain.ID, subject string) (authorizations.Use, error) {
	if s.Authorizations == nil {
		return authorizations.Use{}, errNoConsents
	}
	i, err := s.current(ctx, w, id)
	if err != nil {
		return authorizations.Use{}, err
	}
	if !i.Consents() {
		return authorizations.Use{}, domain.Errorf(domain.Conflict, "no_consent_needed", "the integration %q has no auth of the type oauth2_authorization_code", i.Name)
	}
	return s.useOf(i, subject), nil
}

// StartAuthorization makes a link by which a person may consent to calls of an integration.
// The steps of finding the authorization server are returned beside an error.
func (s *Service) StartAuthorization(ctx context.Context, by Caller, id domain.ID, subject string, start authorizations.Start) (authorizations.Started, error) {
	u, err := s.use(ctx, by.Workspace, id, subject)
	if err != nil {
		return authorizations.Started{}, err
	}
	start.By = by.Actor
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	return s.Authorizations.Start(ctx, u, start)
}

// Authorization returns the authorization of a subject.
func (s *Service) Authorization(ctx context.Context, w domain.Workspace, id domain.ID, subject string) (authorizations.Answer, error) {
	u, err := s.use(ctx, w, id, subject)
	if err != nil {
		return authorizations.Answer{}, err
	}
	return s.Authorizations.Get(ctx, u)
}

// ListAuthorizations returns a page of the authorizations of an integration.
func (s *Service) ListAuthorizations(ctx context.Context, w domain.Workspace, id domain.ID, state domain.AuthorizationState, after string, limit int) ([]authorizations.Answer, string, error) {
	u, err := s.use(ctx, w, id, "")
	if err != nil {
		return nil, "", err
	}
	return s.Authorizations.List(ctx, u, state, after, limit)
}

// RevokeAuthorization destroys the tokens of a subject.
func (s *Service) RevokeAuthorization(ctx context.Context, by Caller, id domain.ID, subject string, cascade bool) (authorizations.Revocation, error) {
	u, err := s.use(ctx, by.Workspace, id, subject)
	if err != nil {
		return authorizations.Revocation{}, err
	}
	return s.Authorizations.Revoke(ctx, u, by.Actor, cascade)
}

// find is an authorizations.Finder.
func (s *Service) find(ctx context.Context, w domain.Workspace, id domain.ID) (authorizations.Use, error) {
	return s.use(ctx, w, id, "")
}

// AuthorizationPage returns what our page names to a person who has followed a link.
func (s *Service) AuthorizationPage(ctx context.Context, link string) (authorizations.Page, error) {
	if s.Authorizations == nil {
		return authorizations.Page{}, errNoConsents
	}
	return s.Authorizations.Page(ctx, link, s.find)
}

// ContinueAuthorization binds a link to a browser, and returns where to send it.
func (s *Service) ContinueAuthorization(ctx context.Context, link, cookie string) (to, value string, err error) {
	if s.Authorizations == nil {
		return "", "", errNoConsents
	}
	return s.Authorizations.Continue(ctx, link, cookie, s.find)
}

// FinishAuthorization takes what a browser comes back with from an authorization server.
func (s *Service) FinishAuthorization(ctx context.Context, q url.Values, cookie func(name string) string) (authorizations.Outcome, error) {
	if s.Authorizations == nil {
		return authorizations.Outcome{}, errNoConsents
	}
	return s.Authorizations.Callback(ctx, q, cookie, s.find)
}

// challengedScope finds the scopes that a refusal asks for (RFC 6750, 3).
var challengedScope = regexp.MustCompile(`(?i)\bscope="([^"]+)"`)

// afterCall adds a link to the result of a call that only a person's consent makes possible,
// and notes the scopes that the upstream asks for.
func (s *Service) afterCall(ctx context.Context, by Caller, i domain.Integration, result *domain.CallResult) {
	if s.Authorizations == nil || !i.Consents() {
		return
	}
	ctx = context.WithoutCancel(ctx)
	u := s.useOf(i, by.OnBehalfOf)
	if challenge := strings.Join(result.ResponseHeaders.Values("Www-Authenticate"), ", "); result.StatusCode == http.StatusForbidden && strings.Contains(challenge, "insufficient_scope") {
		if match := challengedScope.FindStringSubmatch(challenge); match != nil {
			if err := s.Authorizations.StepUp(ctx, u, domain.SplitScopes(match[1])); err != nil {
				s.Log.WarnContext(ctx, "noting missing scopes failed", slog.Any("err", err))
			}
		}
		result.ErrorCode, result.Error = domain.CallAuthorizationRequired, "The upstream asks for more than was permitted: somebody must sign in again."
	}
	if result.StatusCode == http.StatusUnauthorized && result.ErrorCode == domain.CallAuthFailed { // of a fresh token
		result.ErrorCode = domain.CallAuthorizationRequired
	}
	if result.ErrorCode != domain.CallAuthorizationRequired {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	started, err := s.Authorizations.Start(ctx, u, authorizations.Start{By: by.Actor, MayReuse: true})
	if err != nil {
		s.Log.WarnContext(ctx, "no link to sign in could be made", slog.String("integration_id", string(i.ID)), slog.Any("err", err))
		return
	}
	result.AuthorizeURL = started.URL
}

// PublicURL returns the URL under which browsers reach the service, "" if it is not known.
func (s *Service) PublicURL() string {
	if s.Authorizations == nil {
		return ""
	}
	return s.Authorizations.PublicURL()
}

// ClientDocument returns the client metadata document with an id, if there is one.
func (s *Service) ClientDocument(id string) ([]byte, bool) {
	if s.Authorizations == nil {
		return nil, false
	}
	return s.Authorizations.Document(id)
}
