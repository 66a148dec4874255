package transport

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// calledAnswer is one recorded call.
type calledAnswer struct {
	Position      uint64              `json:"position"`
	IntegrationID domain.ID           `json:"integration_id"`
	Name          *string             `json:"name"`
	Version       *uint64             `json:"version"`
	Endpoint      *string             `json:"endpoint"`
	Method        *string             `json:"method"`
	Kind          *domain.CallKind    `json:"kind"`
	Key           string              `json:"key"`
	StatusCode    *int                `json:"status_code"`
	Outcome       *domain.CallOutcome `json:"outcome"`
	Attempts      int                 `json:"attempts"`
	DurationMS    milliseconds        `json:"duration_ms"`
	RequestBytes  int                 `json:"request_bytes"`
	ResponseBytes int                 `json:"response_bytes"`
	Authorization *string             `json:"authorization"`
	Time          time.Time           `json:"time"`
	Address       *string             `json:"address"`
	RequestID     *string             `json:"request_id"`
	TraceID       *string             `json:"trace_id"`
	ApprovalID    *string             `json:"approval_id"` // that the call was made by
	Bodies        bool                `json:"bodies"`
	Problem       *string             `json:"problem"` // why the call can't be shown
}

func showCalled(e audit.Entry) calledAnswer {
	a := calledAnswer{
		Position: e.Position, IntegrationID: e.ID, Name: nullable(e.Name), Version: nullable(e.Version), Key: e.Actor, Time: instant(e.At),
		Address: nullable(e.Address), RequestID: nullable(e.RequestID), TraceID: nullable(domain.TraceID(e.TraceParent)), Problem: nullable(e.Unread),
	}
	if c := e.Call; c != nil {
		a.Endpoint, a.Method, a.Kind, a.StatusCode, a.Outcome = nullable(c.Endpoint), nullable(c.Method), nullable(c.Kind), nullable(c.StatusCode), nullable(c.Outcome)
		a.Authorization = nullable(c.Authorization)
		a.Attempts, a.DurationMS, a.RequestBytes, a.ResponseBytes = c.Attempts, milliseconds(c.Duration), c.RequestBytes, c.ResponseBytes
		a.ApprovalID, a.Bodies = nullable(c.Approval), c.Bodies
	}
	return a
}

// calledPage is a page of recorded calls.
type calledPage struct {
	Items             []calledAnswer `json:"items"`
	HasMore           bool           `json:"has_more"`
	ContinuationToken *string        `json:"continuation_token"`
}

func (s *Server) listCalls(r *request) (answer, error) {
	f, limit, token, err := r.callFilter()
	if err != nil {
		return answer{}, err
	}
	if r.Param("id") != "" {
		f.ID = r.id()
		if err := s.Audit.Known(r, r.workspace, f.ID); err != nil {
			return answer{}, err
		}
	}
	scope, beyond, err := s.openFeed(r, f, token)
	if err != nil {
		return answer{}, err
	}
	show := func(e audit.Entry) any { return showCalled(e) }
	if r.accepts(ndjson) {
		return s.streamFeed(r, f, beyond, show)
	}
	entries, next, err := s.Audit.Feed(r, r.workspace, f, beyond, limit)
	if err != nil {
		return answer{}, err
	}
	if r.accepts(fhirJSON) {
		return s.showAuditEvents(r, entries, s.nextToken(next, scope)), nil
	}
	body := calledPage{Items: make([]calledAnswer, len(entries)), HasMore: next > 0}
	for n, e := range entries {
		body.Items[n] = showCalled(e)
	}
	if next > 0 {
		body.ContinuationToken = new(s.sealPosition(next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// openFeed returns the scope of the tokens of a feed, and the position that one stands for.
func (s *Server) openFeed(r *request, f audit.Filter, token string) (scope []string, beyond uint64, err error) {
	filter, err := json.Marshal(f)
	if err != nil {
		return nil, 0, err
	}
	scope = []string{"events", string(r.workspace), string(filter)}
	beyond, err = s.openPosition(token, scope)
	return scope, beyond, err
}

// callFilter reads which calls are listed.
func (r *request) callFilter() (f audit.Filter, limit int, token string, err error) {
	q := r.query()
	limit = q.integer("limit", 50, 1, 200)
	token, _ = q.text("continuation_token")
	f.Calls, f.Newest = true, true
	f.Endpoint, _ = q.text("endpoint")
	f.Kind = oneOf(q, "kind", domain.CallKinds())
	f.Outcome = oneOf(q, "outcome", domain.CallOutcomes())
	f.Actor, _ = q.text("key")
	f.From, f.To = q.time("from"), q.time("to")
	return f, limit, token, domain.RefuseAll(q.problems)
}

// oneOf reads a parameter that is one of some names, "" when absent.
func oneOf[T ~string](q *query, name string, of []T) T {
	s, given := q.text(name)
	if given && !slices.Contains(of, T(s)) {
		names := make([]string, len(of))
		for n, one := range of {
			names[n] = string(one)
		}
		q.problem(name, "enum", "must be one of "+strings.Join(names, ", "))
	}
	return T(s)
}

// EncodeCall is EncodeEvent for a call.
func EncodeCall(e audit.Entry) []byte { return encode(e.Type, showCalled(e)) }

// streamCalls streams the calls of the workspace, from now on or after the position in
// Last-Event-ID.
func (s *Server) streamCalls(r *request) (answer, error) { return s.follow(r, s.LiveCalls) }
