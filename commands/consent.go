package commands

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
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
	if err := mayUse(ctx, i, subject); err != nil {
		return authorizations.Use{}, err
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
	ctx, cancel := context.WithTimeout(by.with(ctx), discoverTimeout)
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

// ConsentingIntegration returns an integration that persons sign in to, as it is now.
func (s *Service) ConsentingIntegration(ctx context.Context, w domain.Workspace, id domain.ID) (domain.Integration, error) {
	u, err := s.use(domain.WithScope(ctx, domain.ScopeOf(ctx).ForAnySubject()), w, id, "")
	return u.Integration, err
}

// ShowAuthorizations returns what is shown of the authorizations that a list has. It leaves
// out those whose subject was erased, or whose integration is gone.
func (s *Service) ShowAuthorizations(ctx context.Context, listed []projections.Authorization) ([]authorizations.Answer, error) {
	uses, shown := map[domain.Ref]*authorizations.Use{}, []authorizations.Answer{}
	for _, one := range listed {
		u, known := uses[one.Of()]
		if !known {
			found, err := s.use(domain.WithScope(ctx, domain.ScopeOf(ctx).ForAnySubject()), one.Workspace, one.ID, "")
			if domain.KindOf(err) == domain.Unavailable || ctx.Err() != nil {
				return nil, err
			}
			if err == nil {
				u = &found
			}
			uses[one.Of()] = u
		}
		if u == nil || u.Integration.Incarnation != one.State.Incarnation {
			continue
		}
		answer, ok, err := s.Authorizations.Show(ctx, *u, one)
		if err != nil {
			return nil, err
		}
		if ok {
			shown = append(shown, answer)
		}
	}
	return shown, nil
}

// SubjectHash returns what stands for a subject in the authorizations of a workspace.
func (s *Service) SubjectHash(w domain.Workspace, subject string) (string, error) {
	if s.Authorizations == nil {
		return "", errNoConsents
	}
	return s.Authorizations.SubjectHash(w, subject), nil
}

// ImportAuthorization takes over tokens that a subject has given elsewhere.
func (s *Service) ImportAuthorization(ctx context.Context, by Caller, id domain.ID, subject string, in authorizations.Import) (authorizations.Imported, error) {
	u, err := s.use(ctx, by.Workspace, id, subject)
	if err != nil {
		return authorizations.Imported{}, err
	}
	in.By = by.Actor
	ctx, cancel := context.WithTimeout(by.with(ctx), discoverTimeout)
	defer cancel()
	return s.Authorizations.Import(ctx, u, in)
}

// MaintainAuthorizations keeps idle authorizations alive and repeats revocations until ctx
// ends. One process at a time need do it.
func (s *Service) MaintainAuthorizations(ctx context.Context) error {
	return s.Authorizations.Maintain(ctx, s.find)
}

// ForgetDeleted ends the authorizations of deleted integrations, as their deletions are
// recorded, until ctx ends. It continues where an earlier call was interrupted. One process
// at a time need do it.
func (s *Service) ForgetDeleted(ctx context.Context) error {
	const name = "authorizations.integrations._all._all"
	log := s.Events.Lineage().ID()
	at, _, err := s.Events.Position(ctx, name)
	if err != nil {
		return err
	}
	for commits, err := range s.Events.AfterIn(ctx, eventstore.Selection{}, at) {
		if err != nil {
			return err
		}
		for _, c := range commits {
			if deleted, ok := c.Event.(domain.IntegrationDeleted); ok {
				if err := s.Authorizations.Forget(ctx, c.Workspace, c.ID, deleted.Version, c.Meta.Actor); err != nil {
					return err
				}
			}
			at = c.Position
		}
		if err := s.Events.SavePosition(ctx, name, log, at); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// RevokeAuthorization destroys the tokens of a subject.
func (s *Service) RevokeAuthorization(ctx context.Context, by Caller, id domain.ID, subject string, cascade bool) (authorizations.Revocation, error) {
	u, err := s.use(ctx, by.Workspace, id, subject)
	if err != nil {
		return authorizations.Revocation{}, err
	}
	return s.Authorizations.Revoke(by.with(ctx), u, by.Actor, cascade)
}

// with returns a context that names the caller in what authorizations record.
func (c Caller) with(ctx context.Context) context.Context {
	return authorizations.WithCaller(ctx, domain.Metadata{Actor: c.Actor, Address: c.Address, RequestID: c.RequestID, TraceParent: c.TraceParent})
}

// ConfirmAuthorization makes the tokens that a person has given those of a subject.
func (s *Service) ConfirmAuthorization(ctx context.Context, w domain.Workspace, id domain.ID, subject, code string) (authorizations.Answer, error) {
	u, err := s.use(ctx, w, id, subject)
	if err != nil {
		return authorizations.Answer{}, err
	}
	if err := s.Authorizations.Confirm(ctx, u, code); err != nil {
		return authorizations.Answer{}, err
	}
	return s.Authorizations.Get(ctx, u)
}

// ChooseAccount chooses among the values of an account that has several, such as its sites.
func (s *Service) ChooseAccount(ctx context.Context, w domain.Workspace, id domain.ID, subject string, wanted map[string]string) (authorizations.Answer, error) {
	u, err := s.use(ctx, w, id, subject)
	if err != nil {
		return authorizations.Answer{}, err
	}
	if err := s.Authorizations.Choose(ctx, u, wanted); err != nil {
		return authorizations.Answer{}, err
	}
	return s.Authorizations.Get(ctx, u)
}

// ChooseInBrowser makes the choices of a person who has just signed in.
func (s *Service) ChooseInBrowser(ctx context.Context, r authorizations.Return, wanted map[string]string) (authorizations.Outcome, error) {
	if s.Authorizations == nil {
		return authorizations.Outcome{}, errNoConsents
	}
	return s.Authorizations.ChooseInBrowser(ctx, r, wanted, s.find)
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
func (s *Service) FinishAuthorization(ctx context.Context, r authorizations.Return) (authorizations.Outcome, error) {
	if s.Authorizations == nil {
		return authorizations.Outcome{}, errNoConsents
	}
	return s.Authorizations.Callback(ctx, r, s.find)
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
