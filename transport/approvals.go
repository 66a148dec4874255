package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// approvalAnswer is the representation of an approval. It has neither what is sent nor what
// came back.
type approvalAnswer struct {
	ID            string               `json:"id"`
	WorkspaceID   domain.Workspace     `json:"workspace_id"`
	IntegrationID domain.ID            `json:"integration_id"`
	Integration   string               `json:"integration"`
	Endpoint      string               `json:"endpoint"`
	Method        string               `json:"method"`
	Kind          domain.CallKind      `json:"kind"`
	State         domain.ApprovalState `json:"state"`
	Version       uint64               `json:"version"` // of the configuration
	Key           string               `json:"key"`
	Parameters    string               `json:"parameters_hmac"`
	RequestedAt   time.Time            `json:"requested_at"`
	ExpiresAt     time.Time            `json:"expires_at"`
	DecidedBy     *string              `json:"decided_by"`
	DecidedAt     *time.Time           `json:"decided_at"`
	Reason        *string              `json:"reason"`
	EndedAt       *time.Time           `json:"ended_at"`
	Cause         *domain.CancelCause  `json:"cause"`
	Outcome       *domain.CallOutcome  `json:"outcome"`
	StatusCode    *int                 `json:"status_code"`
	DurationMS    *milliseconds        `json:"duration_ms"`
}

func showApproval(p domain.Approval) approvalAnswer {
	return approvalAnswer{
		ID: p.ID, WorkspaceID: p.Workspace, IntegrationID: p.Integration, Integration: p.Name, Endpoint: p.Endpoint, Method: p.Method, Kind: p.Kind,
		State: p.State, Version: p.ConfigVersion, Key: p.Key, Parameters: p.Parameters, RequestedAt: instant(p.RequestedAt), ExpiresAt: instant(p.ExpiresAt),
		DecidedBy: nullable(p.DecidedBy), DecidedAt: nullableTime(p.DecidedAt), Reason: nullable(p.Reason), EndedAt: nullableTime(p.EndedAt), Cause: nullable(p.Cause),
		Outcome: nullable(p.Outcome), StatusCode: nullable(p.StatusCode), DurationMS: nullable(milliseconds(p.Duration)),
	}
}

func nullableTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return new(instant(at))
}

// caseAnswer is an approval with all that its reader may see.
type caseAnswer struct {
	approvalAnswer

	OnBehalfOf         *string        `json:"on_behalf_of"`
	Parameters         map[string]any `json:"parameters"` // null: the reader may not see them, or they are destroyed
	IntegrationChanged bool           `json:"integration_changed"`
	CurrentVersion     *uint64        `json:"current_version"` // null: the integration is deleted
	Changes            []changeAnswer `json:"changes"`
	Answer             *testAnswer    `json:"answer"`
}

// neededAnswer is the answer to a call that needs an approval.
type neededAnswer struct {
	ErrorCode domain.ErrorCode `json:"error_code"`
	Detail    string           `json:"detail"`
	Approval  approvalAnswer   `json:"approval"`
}

// called answers a call: with its result, or with 202 and the approval that it needs.
func called(result domain.CallResult) answer {
	if p := result.Approval; p != nil && result.ErrorCode == domain.CallApprovalRequired {
		return answer{status: http.StatusAccepted, body: neededAnswer{ErrorCode: result.ErrorCode, Detail: result.Error, Approval: showApproval(*p)}}
	}
	return answer{status: http.StatusOK, body: showCall(result)}
}

func (s *Server) listApprovals(r *request) (answer, error) {
	q := r.query()
	query := projections.ApprovalQuery{Limit: q.integer("limit", 50, 1, 200), State: oneOf(q, "state", domain.ApprovalStates())}
	if id, given := q.text("integration_id"); given {
		query.Integration = domain.ParseID(r.workspace, id)
	}
	query.Key, _ = q.text("key")
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope := []string{"approvals", string(r.workspace), string(query.State), string(query.Integration), query.Key}
	if !projections.FirstPage(token) {
		place, err := s.Cursors.Open(token, scope...)
		if err == nil {
			err = json.Unmarshal(place, &query.After)
		}
		if err != nil {
			return answer{}, err
		}
	}
	page, err := s.Read.Approvals(r, r.workspace, query)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Items             []approvalAnswer `json:"items"`
		HasMore           bool             `json:"has_more"`
		ContinuationToken *string          `json:"continuation_token"`
	}{Items: make([]approvalAnswer, len(page.Items)), HasMore: page.Next != nil}
	for n, p := range page.Items {
		body.Items[n] = showApproval(p.Shown(s.Now()))
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

// getApproval shows an approval. Who may decide sees what the call sends, and who asked sees
// what came back too.
func (s *Server) getApproval(r *request) (answer, error) {
	p, err := s.Commands.Approval(r, r.workspace, r.Param("approval"))
	if err != nil {
		return answer{}, err
	}
	own := p.Key == r.key.ID
	c, err := s.Commands.Case(r, p, own)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: showCase(c, own || r.key.May(access.Decide), own)}, nil
}

func showCase(c commands.Case, withRequest, withAnswer bool) caseAnswer {
	body := caseAnswer{approvalAnswer: showApproval(c.Approval), IntegrationChanged: true, Changes: showChanges(c.Changes)}
	if c.Now.Exists() && c.Now.Incarnation == c.Incarnation {
		body.CurrentVersion, body.IntegrationChanged = nullable(c.Now.Version), c.Now.Version != c.ConfigVersion
	}
	if withRequest && c.Request != nil {
		body.Parameters, body.OnBehalfOf = c.Request.Params, nullable(c.Request.Subject)
		if body.Parameters == nil {
			body.Parameters = map[string]any{}
		}
	}
	if withAnswer && c.Answer != nil {
		body.Answer = new(showCall(*c.Answer))
	}
	return body
}

func (s *Server) approve(r *request) (answer, error) { return s.decide(r, true) }

func (s *Server) deny(r *request) (answer, error) { return s.decide(r, false) }

func (s *Server) decide(r *request, approve bool) (answer, error) {
	if err := r.actFor(); err != nil {
		return answer{}, err
	}
	doc, _, err := r.body(maxTestBody, true)
	if err != nil {
		return answer{}, err
	}
	v, err := readVerdict(doc, approve)
	if err != nil {
		return answer{}, err
	}
	present, err := s.Commands.Approval(r, r.workspace, r.Param("approval"))
	if err != nil {
		return answer{}, err
	}
	v.Related = !s.Keys.Independent(r.workspace, r.key, present.Key)
	p, position, err := s.Commands.Decide(r, r.caller, r.Param("approval"), v)
	if err != nil {
		return answer{}, err
	}
	if s.WaitForApproval != nil {
		s.waitForWrite(r, s.WaitForApproval, position)
	}
	return answer{status: http.StatusOK, body: showApproval(p)}, nil
}

// maxReasonLength is how many characters a reason has at most.
const maxReasonLength = 500

func readVerdict(doc domain.Document, approve bool) (domain.Verdict, error) {
	v := domain.Verdict{Approve: approve}
	allowed := []string{"reason", "version"}
	if !approve {
		allowed = allowed[:1]
	}
	problems := unknownMembers("", doc, allowed...)
	if given := doc["reason"]; given != nil {
		var ok bool
		v.Reason, ok = given.(string)
		v.Reason = strings.TrimSpace(v.Reason)
		if !ok || utf8.RuneCountInString(v.Reason) > maxReasonLength || strings.ContainsFunc(v.Reason, func(c rune) bool { return c < 0x20 && c != '\n' || c == 0x7f }) {
			problems = append(problems, domain.Problem{Pointer: "/reason", Code: "length", Detail: "must be a string of at most " + strconv.Itoa(maxReasonLength) + " characters, without control characters"})
		}
	}
	if !approve && v.Reason == "" && len(problems) == 0 {
		problems = append(problems, domain.Problem{Pointer: "/reason", Code: "required", Detail: "is required: it is shown to the caller who asked"})
	}
	if given := doc["version"]; given != nil && approve {
		number, _ := given.(json.Number)
		n, whole := domain.WholeNumber(number)
		if !whole || n < 1 {
			problems = append(problems, domain.Problem{Pointer: "/version", Code: "range", Detail: "must be a version of the integration, from 1"})
		}
		v.Version = uint64(max(n, 0))
	}
	return v, domain.RefuseAll(problems)
}

// Asker returns what keys may do now that have asked for an approval. Who signed in with an
// OpenID provider is not among them: their permissions are those of the token that they had.
func Asker(keys *access.Keys) func(domain.Workspace, string) (commands.Asker, bool) {
	return func(w domain.Workspace, id string) (commands.Asker, bool) {
		if access.IsSignedIn(id) {
			return commands.Asker{MayInvoke: true, MayTest: true, MayExec: true, MayActFor: true}, true
		}
		key, known := keys.Find(w, id)
		return commands.Asker{
			Scope: key.Scope, MayInvoke: key.May(access.Invoke), MayTest: key.May(access.View), MayExec: key.May(access.Exec), MayActFor: key.May(access.ActFor),
		}, known
	}
}
