package transport

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// authorizationsAnswer is a page of authorizations. It may have fewer than the limit, and
// still have a next one: those whose subject was erased meanwhile are left out.
type authorizationsAnswer struct {
	Items             []authorizationAnswer `json:"items"`
	HasMore           bool                  `json:"has_more"`
	Total             int                   `json:"total"`
	ContinuationToken *string               `json:"continuation_token"`
}

// authorizationQuery reads the parameters that both lists have.
func (s *Server) authorizationQuery(r *request, q *query) (f projections.AuthorizationQuery, token string) {
	f.Limit = q.integer("limit", 50, 1, authorizations.MaxPage)
	state, _ := q.text("state")
	switch f.State = domain.AuthorizationState(state); f.State {
	case "", domain.NotAuthorized, domain.IsAuthorized, domain.ReauthorizationRequired:
	default:
		q.problem("state", "enum", "must be none, authorized or reauthorization_required")
	}
	subject, given := q.text("subject")
	if r.key.LimitsSubjects() && (!given || !r.key.ActsFor(subject)) { // the total, and what an account finds, would be of others too
		q.problem("subject", "not_allowed", "this API key acts for some subjects only: name one of them")
	}
	if given {
		q.problems = append(q.problems, subjectProblems("/subject", subject)...)
		if subject == ownSubject {
			subject = ""
		}
		hash, err := s.Commands.SubjectHash(r.workspace, subject)
		if err != nil {
			q.problem("subject", "unavailable", err.Error())
		}
		f.Subject = hash
	}
	f.Account, _ = q.text("account")
	token, _ = q.text("continuation_token")
	return f, token
}

// subjectProblems is checkSubject where the workspace itself may be meant.
func subjectProblems(at, subject string) []domain.Problem {
	if subject == ownSubject {
		return nil
	}
	return checkSubject(at, subject)
}

func (s *Server) listAuthorizations(r *request) (answer, error) {
	q := r.query()
	f, token := s.authorizationQuery(r, q)
	other := q.boolean("other_client")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	i, err := s.Commands.ConsentingIntegration(r, r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	f.ID, f.Incarnation, f.Binding = i.ID, i.Incarnation, i.ConsentBinding()
	if other != nil && *other {
		f.NotClientID = i.Auth.ClientID
		if i.Auth.ClientID == "" {
			return answer{}, domain.Refuse("/other_client", "not_allowed", "the integration has no client_id, so there is none to compare with")
		}
	}
	return s.pageOfAuthorizations(r, f, token)
}

// listAllAuthorizations lists those of all integrations of a workspace. Their states are as
// recorded: what has changed in an integration since shows in the items.
func (s *Server) listAllAuthorizations(r *request) (answer, error) {
	q := r.query()
	f, token := s.authorizationQuery(r, q)
	if id, given := q.text("integration_id"); given {
		f.ID = domain.ParseID(r.workspace, id)
	}
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	return s.pageOfAuthorizations(r, f, token)
}

func (s *Server) pageOfAuthorizations(r *request, q projections.AuthorizationQuery, token string) (answer, error) {
	scope := []string{
		"authorizations", string(r.workspace), string(q.ID), strconv.FormatUint(q.Incarnation, 10), q.Subject, q.Account, q.NotClientID, string(q.State), q.Binding,
	}
	if !projections.FirstPage(token) {
		place, err := s.Cursors.Open(token, scope...)
		if err == nil {
			err = json.Unmarshal(place, &q.After)
		}
		if err != nil {
			return answer{}, err
		}
	}
	if err := s.waitForRead(r); err != nil {
		return answer{}, err
	}
	page, err := s.Read.Authorizations(r, r.workspace, q)
	if err != nil {
		return answer{}, err
	}
	shown, err := s.Commands.ShowAuthorizations(r, page.Items)
	if err != nil {
		return answer{}, err
	}
	body := authorizationsAnswer{Items: make([]authorizationAnswer, len(shown)), HasMore: page.HasMore, Total: page.Total}
	for n, one := range shown {
		body.Items[n] = showAuthorization(one)
	}
	if page.Next != nil {
		place, err := json.Marshal(page.Next)
		if err != nil {
			return answer{}, err
		}
		body.ContinuationToken = new(s.Cursors.Seal(place, scope...))
	}
	return answer{status: http.StatusOK, body: body}, nil
}
