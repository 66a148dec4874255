package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// historyAnswer is a page of the events of one integration.
type historyAnswer struct {
	Items             []entryAnswer `json:"items"`
	HasMore           bool          `json:"has_more"`
	ContinuationToken *string       `json:"continuation_token"`
}

type entryAnswer struct {
	Position  uint64         `json:"position"`
	Version   uint64         `json:"version"`
	Type      string         `json:"type"`
	Time      time.Time      `json:"time"`
	Actor     string         `json:"actor"`
	Address   *string        `json:"address"`
	RequestID *string        `json:"request_id"`
	Changed   []changeAnswer `json:"changed"`
	Reason    *string        `json:"reason"`
	Problem   *string        `json:"problem"` // why the event can't be shown
}

func (s *Server) history(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope := []string{"history", string(r.workspace), string(r.id())}
	var after uint64
	if !projections.FirstPage(token) {
		place, err := s.Cursors.Open(token, scope...)
		if err == nil {
			err = json.Unmarshal(place, &after)
		}
		if err != nil {
			return answer{}, err
		}
	}
	entries, more, err := s.Commands.History(r, r.workspace, r.id(), after, limit)
	if err != nil {
		return answer{}, err
	}
	body := historyAnswer{Items: make([]entryAnswer, len(entries)), HasMore: more}
	for n, e := range entries {
		body.Items[n] = entryAnswer{
			Position: e.Position, Version: e.Version, Type: e.Type, Time: instant(e.At), Actor: e.Actor, Address: nullable(e.Address),
			RequestID: nullable(e.RequestID), Changed: showChanges(e.Changes), Reason: nullable(e.Reason), Problem: nullable(e.Unread),
		}
	}
	if more {
		last := strconv.FormatUint(entries[len(entries)-1].Position, 10)
		body.ContinuationToken = new(s.Cursors.Seal([]byte(last), scope...))
	}
	return answer{status: http.StatusOK, body: body}, nil
}
