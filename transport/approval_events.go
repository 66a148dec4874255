package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// approvalEventAnswer is one event of an approval, with the approval after it.
type approvalEventAnswer struct {
	Position      uint64          `json:"position"`
	IntegrationID domain.ID       `json:"integration_id"`
	Type          string          `json:"type"`
	Time          time.Time       `json:"time"`
	Actor         string          `json:"actor"`
	Address       *string         `json:"address"`
	RequestID     *string         `json:"request_id"`
	Approval      *approvalAnswer `json:"approval"`
	Problem       *string         `json:"problem"` // why the event can't be shown
}

func showApprovalEvent(e audit.Entry) approvalEventAnswer {
	a := approvalEventAnswer{
		Position: e.Position, IntegrationID: e.ID, Type: e.Type, Time: instant(e.At), Actor: e.Actor, Address: nullable(e.Address),
		RequestID: nullable(e.RequestID), Problem: nullable(e.Unread),
	}
	if e.Approval != nil {
		a.Approval = new(showApproval(*e.Approval))
	}
	return a
}

// EncodeApprovalEvent is EncodeEvent for an event of an approval.
func EncodeApprovalEvent(e audit.Entry) []byte { return encode(e.Type, showApprovalEvent(e)) }

func (s *Server) listApprovalEvents(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	f := audit.Filter{Approvals: true, Newest: true}
	if id, given := q.text("integration_id"); given {
		f.ID = domain.ParseID(r.workspace, id)
	}
	f.Actor, _ = q.text("actor")
	f.From, f.To = q.time("from"), q.time("to")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope, beyond, err := s.openFeed(r, f, token)
	if err != nil {
		return answer{}, err
	}
	if r.accepts(ndjson) {
		return s.streamFeed(r, f, beyond, func(e audit.Entry) any { return showApprovalEvent(e) })
	}
	entries, next, err := s.Audit.Feed(r, r.workspace, f, beyond, limit)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Items             []approvalEventAnswer `json:"items"`
		HasMore           bool                  `json:"has_more"`
		ContinuationToken *string               `json:"continuation_token"`
	}{Items: make([]approvalEventAnswer, len(entries)), HasMore: next > 0}
	for n, e := range entries {
		body.Items[n] = showApprovalEvent(e)
	}
	if next > 0 {
		body.ContinuationToken = new(s.sealPosition(next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// streamApprovals streams the events of the approvals of the workspace, from now on or after
// the position in Last-Event-ID.
func (s *Server) streamApprovals(r *request) (answer, error) {
	return s.follow(r, s.LiveApprovals)
}
