package transport

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
)

// ownSubject is what the workspace itself is called in a path.
const ownSubject = domain.WorkspaceSubject

// authorizationAnswer is the representation of an authorization.
type authorizationAnswer struct {
	ID            string                    `json:"id"`
	IntegrationID domain.ID                 `json:"integration_id"`
	Subject       *string                   `json:"subject"` // null: the workspace itself
	State         domain.AuthorizationState `json:"state"`
	Reason        *domain.LossCause         `json:"reason"` // why it must be given again
	Attempt       *consentAttemptAnswer     `json:"attempt"`
	Issuer        *string                   `json:"issuer"`
	ClientID      *string                   `json:"client_id"`
	Scopes        []string                  `json:"scopes"`
	MissingScopes []string                  `json:"missing_scopes"`
	Account       *string                   `json:"account"`
	AuthorizedBy  *string                   `json:"authorized_by"`
	AuthorizedAt  *time.Time                `json:"authorized_at"`
	ExpiresAt     *time.Time                `json:"expires_at"` // of the access token, which is renewed before
	Renewable     bool                      `json:"renewable"`
	Unproven      bool                      `json:"unproven"`
	Revocation    *string                   `json:"revocation"`   // what became of revoked tokens
	Captured      map[string]string         `json:"captured"`     // values of the account
	Choices       map[string][]choiceAnswer `json:"choices"`      // of which one is, or must be, chosen
	Hint          *string                   `json:"hint"`         // what has probably ended it
	RedirectURI   string                    `json:"redirect_uri"` // that the authorization server must know
}

// choiceAnswer is one of several values of an account.
type choiceAnswer struct {
	Value string  `json:"value"`
	Label *string `json:"label"`
}

type consentAttemptAnswer struct {
	State     authorizations.AttemptState `json:"state"`
	CreatedAt time.Time                   `json:"created_at"`
	ExpiresAt time.Time                   `json:"expires_at"`
	Error     *string                     `json:"error"`
	Detail    *string                     `json:"detail"`
}

func showAuthorization(a authorizations.Answer) authorizationAnswer {
	shown := authorizationAnswer{
		ID: a.Key, IntegrationID: a.ID, Unproven: a.Unproven, Revocation: nullable(a.Revocation),
		Subject: nullable(a.Subject), State: a.State, Reason: nullable(a.Lost), Issuer: nullable(a.Issuer), ClientID: nullable(a.ClientID), Scopes: orEmpty(a.Scopes),
		MissingScopes: orEmpty(a.MissingScopes), Account: nullable(a.Account), AuthorizedBy: nullable(a.AuthorizedBy), Renewable: a.CanRefresh,
		Captured: map[string]string{}, Choices: map[string][]choiceAnswer{}, Hint: nullable(a.Hint), RedirectURI: a.Redirect,
	}
	maps.Copy(shown.Captured, a.Captured)
	for name, choices := range a.Choices {
		for _, one := range choices {
			shown.Choices[name] = append(shown.Choices[name], choiceAnswer{one.Value, nullable(one.Label)})
		}
	}
	if !a.AuthorizedAt.IsZero() {
		shown.AuthorizedAt = new(instant(a.AuthorizedAt))
	}
	if !a.ExpiresAt.IsZero() {
		shown.ExpiresAt = new(instant(a.ExpiresAt))
	}
	if t := a.Attempt; t != nil {
		shown.Attempt = &consentAttemptAnswer{
			State: t.State, CreatedAt: instant(t.CreatedAt), ExpiresAt: instant(t.ExpiresAt), Error: nullable(t.Error), Detail: nullable(t.Sentence),
		}
	}
	return shown
}

// startedAnswer is a link by which a person may sign in.
type startedAnswer struct {
	AuthorizeURL string             `json:"authorize_url"`
	ExpiresAt    time.Time          `json:"expires_at"`
	Status       string             `json:"status"`
	RedirectURI  string             `json:"redirect_uri"`
	Steps        []domain.ProbeStep `json:"steps"`
}

// startAuthorization makes a link. For the workspace itself it is a change of the
// integration, so the key needs that permission too.
func (s *Server) startAuthorization(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, true)
	if err != nil {
		return answer{}, err
	}
	subject, start, err := readStart(doc)
	if err != nil {
		return answer{}, err
	}
	if err := r.mayAuthorize(subject); err != nil {
		return answer{}, err
	}
	started, err := s.Commands.StartAuthorization(r, r.caller, r.id(), subject, start)
	if err != nil {
		return answer{}, withSteps(err, started.Steps)
	}
	s.waitForWrite(r, s.Wait, started.Position)
	return answer{status: http.StatusCreated, body: startedAnswer{
		AuthorizeURL: started.URL, ExpiresAt: instant(started.ExpiresAt), Status: string(authorizations.Pending), RedirectURI: started.Redirect, Steps: orEmpty(started.Steps),
	}, header: map[string]string{positionHeader: strconv.FormatUint(started.Position, 10)}}, nil
}

// withSteps adds what was done to the error of an authorization server that can't be used.
func withSteps(err error, steps []domain.ProbeStep) error {
	if len(steps) == 0 || domain.KindOf(err) != domain.Conflict {
		return err
	}
	details := make([]string, len(steps))
	for n, step := range steps {
		details[n] = step.Name + ": " + step.Detail
	}
	return domain.Wrap(err, domain.Conflict, domain.CodeOf(err), err.Error()+" ("+strings.Join(details, " ")+")")
}

func readStart(doc domain.Document) (subject string, start authorizations.Start, err error) {
	problems := unknownMembers("", doc, "subject", "replace_account", "reregister", "account", "return_url", "confirm")
	for name, value := range doc {
		ok := true
		switch {
		case value == nil:
		case name == "subject":
			if subject, ok = value.(string); ok {
				problems = append(problems, checkSubject("/subject", subject)...)
			}
		case name == "replace_account":
			start.ReplaceAccount, ok = value.(bool)
		case name == "reregister":
			start.Reregister, ok = value.(bool)
		case name == "confirm":
			start.Confirm, ok = value.(bool)
		case name == "return_url":
			start.ReturnURL, ok = value.(string)
		case name == "account":
			start.Account = readTexts(doc, name, &problems)
		}
		if !ok {
			problems = append(problems, domain.Problem{Pointer: pointer(name), Code: "type", Detail: "subject and return_url must be strings, replace_account, reregister and confirm true or false"})
		}
	}
	return subject, start, domain.RefuseAll(problems)
}

// readTexts reads an object of texts.
func readTexts(doc domain.Document, name string, problems *[]domain.Problem) map[string]string {
	members, ok := doc[name].(map[string]any)
	if !ok {
		*problems = append(*problems, domain.Problem{Pointer: pointer(name), Code: "type", Detail: "must be an object of strings"})
		return nil
	}
	texts := map[string]string{}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		text, ok := members[member].(string)
		if !ok {
			*problems = append(*problems, domain.Problem{Pointer: pointer(name) + pointer(member), Code: "type", Detail: "must be a string"})
		}
		texts[member] = text
	}
	return texts
}

// checkSubject returns what is wrong with a subject.
func checkSubject(at, subject string) []domain.Problem {
	switch {
	case subject == "" || len(subject) > authorizations.MaxSubject || !utf8.ValidString(subject):
		return []domain.Problem{{Pointer: at, Code: "subject_invalid", Detail: "must be UTF-8 of 1 to 256 bytes"}}
	case subject == ownSubject || strings.TrimSpace(subject) != subject || strings.ContainsFunc(subject, domain.IsInvisible):
		return []domain.Problem{{Pointer: at, Code: "subject_invalid", Detail: `must not be "-", begin or end with white space, or have control or invisible characters`}}
	}
	return nil
}

// mayAuthorize refuses a key that may not have the workspace itself sign in.
func (r *request) mayAuthorize(subject string) error {
	if subject == "" && !r.key.May(access.Update) {
		return domain.Errorf(domain.Forbidden, "forbidden", "without a subject this changes the integration, and this API key lacks the permission %s in this workspace", access.Update)
	}
	return nil
}

// subject returns the subject that a path names.
func (r *request) subject() (string, error) {
	subject := r.Param("subject")
	if subject == ownSubject {
		return "", nil
	}
	return subject, domain.RefuseAll(checkSubject("", subject))
}

func (s *Server) getAuthorization(r *request) (answer, error) {
	subject, err := r.subject()
	if err != nil {
		return answer{}, err
	}
	a, err := s.Commands.Authorization(r, r.workspace, r.id(), subject)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: showAuthorization(a)}, nil
}

// confirmAuthorization makes the tokens that a person has given those of the subject whom the
// host application knows them as.
func (s *Server) confirmAuthorization(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, false)
	if err != nil {
		return answer{}, err
	}
	problems := unknownMembers("", doc, "code")
	code, ok := doc["code"].(string)
	if !ok || code == "" {
		problems = append(problems, domain.Problem{Pointer: "/code", Code: "required", Detail: "must be the confirmation_code that the person came back with"})
	}
	subject, err := r.changedSubject(problems)
	if err != nil {
		return answer{}, err
	}
	a, err := s.Commands.ConfirmAuthorization(r, r.workspace, r.id(), subject, code)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: showAuthorization(a)}, nil
}

// updateAuthorization chooses among the values of an account.
func (s *Server) updateAuthorization(r *request) (answer, error) {
	doc, _, err := r.body(maxTestBody, false)
	if err != nil {
		return answer{}, err
	}
	problems := unknownMembers("", doc, "account")
	wanted := readTexts(doc, "account", &problems)
	subject, err := r.changedSubject(problems)
	if err != nil {
		return answer{}, err
	}
	a, err := s.Commands.ChooseAccount(r, r.workspace, r.id(), subject, wanted)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: showAuthorization(a)}, nil
}

// changedSubject returns the subject that a path names, of a request that changes its
// authorization and has problems.
func (r *request) changedSubject(problems []domain.Problem) (string, error) {
	subject, err := r.subject()
	if err == nil {
		err = domain.RefuseAll(problems)
	}
	if err == nil {
		err = r.mayAuthorize(subject)
	}
	return subject, err
}

func (s *Server) revokeAuthorization(r *request) (answer, error) {
	q := r.query()
	cascade := q.boolean("cascade")
	subject, err := r.subject()
	if err == nil {
		err = domain.RefuseAll(q.problems)
	}
	if err == nil {
		err = r.mayAuthorize(subject)
	}
	if err != nil {
		return answer{}, err
	}
	done, err := s.Commands.RevokeAuthorization(r, r.caller, r.id(), subject, cascade != nil && *cascade)
	if err != nil {
		return answer{}, err
	}
	s.waitForWrite(r, s.Wait, done.Position)
	return answer{status: http.StatusOK, body: struct {
		Revocation string `json:"revocation"`
		Siblings   int    `json:"siblings"`
	}{done.Outcome, done.Siblings}, header: map[string]string{positionHeader: strconv.FormatUint(done.Position, 10)}}, nil
}

// onBehalfOfHeader names whose tokens a call uses. It comes from the host application that
// has the API key, never from a model.
const onBehalfOfHeader = "X-On-Behalf-Of"

// actFor reads whose tokens a call uses, and refuses a key that may not name anybody.
func (r *request) actFor() error {
	values := r.Request.Header.Values(onBehalfOfHeader)
	if len(values) == 0 {
		return nil
	}
	if !r.key.May(access.ActFor) {
		return domain.Errorf(domain.Forbidden, "forbidden", "to call on behalf of a subject this API key needs the permission %s in this workspace", access.ActFor)
	}
	if len(values) > 1 {
		return domain.Refuse("", "subject_invalid", "the header %s is there more than once", onBehalfOfHeader)
	}
	if err := domain.RefuseAll(checkSubject("", values[0])); err != nil {
		return domain.Refuse("", "subject_invalid", "the header %s must be a subject: UTF-8 of 1 to 256 bytes", onBehalfOfHeader)
	}
	if !r.key.ActsFor(values[0]) {
		return domain.NotFor(values[0])
	}
	r.caller.OnBehalfOf = values[0]
	return nil
}
