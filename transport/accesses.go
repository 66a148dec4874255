package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/domain"
)

// accessAnswer is a number of requests that are alike.
type accessAnswer struct {
	Position    uint64            `json:"position"`
	Type        accesslog.Kind    `json:"type"`
	KeyID       *string           `json:"key_id"` // null: no key was valid
	Address     *string           `json:"address"`
	Route       *string           `json:"route"` // null: key use is of all routes
	Code        *string           `json:"code"`
	Status      *int              `json:"status"`
	WorkspaceID *domain.Workspace `json:"workspace_id"` // that the first request asked for; null: none
	RequestID   *string           `json:"request_id"`   // of the first request
	Count       uint64            `json:"count"`
	FirstAt     time.Time         `json:"first_at"`
	LastAt      time.Time         `json:"last_at"`
	Erased      []string          `json:"erased"` // null: it is no erasure
}

func (s *Server) listAccesses(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	f := accesslog.Filter{Kind: oneOf(q, "type", []accesslog.Kind{accesslog.Denied, accesslog.Used, accesslog.Cut, accesslog.Erased}), From: q.time("from"), To: q.time("to")}
	f.Key, _ = q.text("key")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope := []string{"accesses", string(r.workspace), string(f.Kind), f.Key, f.From.Format(time.RFC3339Nano), f.To.Format(time.RFC3339Nano)}
	after, err := s.openPosition(token, scope)
	if err != nil {
		return answer{}, err
	}
	page, next, err := s.Accesses.Page(r, r.workspace, f, after, limit)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Items             []accessAnswer `json:"items"`
		HasMore           bool           `json:"has_more"`
		ContinuationToken *string        `json:"continuation_token"`
	}{Items: make([]accessAnswer, len(page)), HasMore: next > 0}
	for n, one := range page {
		body.Items[n] = accessAnswer{
			Position: one.Position, Type: one.Kind, KeyID: nullable(one.Key), Address: nullable(one.Address), Route: nullable(one.Route), Code: nullable(one.Code),
			Status: nullable(one.Status), WorkspaceID: nullable(one.Asked), RequestID: nullable(one.RequestID), Count: one.Count, FirstAt: instant(one.First), LastAt: instant(one.Last),
		}
		if one.Kind == accesslog.Erased {
			body.Items[n].Erased = append([]string{}, one.Aliases...)
		}
	}
	if next > 0 {
		body.ContinuationToken = new(s.sealPosition(next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}
