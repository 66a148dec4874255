package transport

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// historyAnswer is a page of the events of one integration.
type historyAnswer struct {
	Items             []entryAnswer `json:"items"`
	HasMore           bool          `json:"has_more"`
	ContinuationToken *string       `json:"continuation_token"`
	ArchivedThrough   *uint64       `json:"archived_through"` // null: the log has the whole history
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

	Authorization *authorizationChange `json:"authorization"` // null: the event is about the integration
}

func (s *Server) history(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope := []string{"history", string(r.workspace), string(r.id())}
	after, err := s.openPosition(token, scope)
	if err != nil {
		return answer{}, err
	}
	entries, more, err := s.Audit.History(r, r.workspace, r.id(), after, limit)
	if err != nil {
		return answer{}, err
	}
	archived, err := s.Audit.HistoryArchivedThrough(r, r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	body := historyAnswer{Items: make([]entryAnswer, len(entries)), HasMore: more, ArchivedThrough: nullable(archived)}
	for n, e := range entries {
		body.Items[n] = entryAnswer{
			Position: e.Position, Version: e.Version, Type: e.Type, Time: instant(e.At), Actor: e.Actor, Address: nullable(e.Address),
			RequestID: nullable(e.RequestID), Changed: showChanges(e.Changes), Reason: nullable(e.Reason), Problem: nullable(e.Unread),
			Authorization: showAuthorizationChange(e),
		}
	}
	if more {
		body.ContinuationToken = new(s.sealPosition(entries[len(entries)-1].Position, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// sealPosition returns the token of the page that continues from a position.
func (s *Server) sealPosition(position uint64, scope []string) string {
	return s.Cursors.Seal(strconv.AppendUint(nil, position, 10), scope...)
}

// nextToken is sealPosition, "" for 0: there is no next page.
func (s *Server) nextToken(position uint64, scope []string) string {
	if position == 0 {
		return ""
	}
	return s.sealPosition(position, scope)
}

// openPosition is the reverse of sealPosition; the first page is at 0.
func (s *Server) openPosition(token string, scope []string) (position uint64, err error) {
	if projections.FirstPage(token) {
		return 0, nil
	}
	place, err := s.Cursors.Open(token, scope...)
	if err == nil {
		err = json.Unmarshal(place, &position)
	}
	return position, err
}

// asOf reads the as_of parameter, nil for the present.
func (r *request) asOf() (*audit.AsOf, error) {
	q := r.query()
	text, given := q.text("as_of")
	if version, err := strconv.ParseUint(text, 10, 64); err == nil && version > 0 {
		return &audit.AsOf{Version: version}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if given && err != nil {
		q.problem("as_of", "format", "must be a version from 1, or a time (RFC 3339)")
	}
	if err := domain.RefuseAll(q.problems); err != nil || !given {
		return nil, err
	}
	return &audit.AsOf{Time: at}, nil
}

// restoreIntegration restores the configuration of an earlier version.
func (s *Server) restoreIntegration(r *request) (answer, error) {
	doc, on, err := r.change()
	if err != nil {
		return answer{}, err
	}
	version, err := wantedVersion(doc)
	if err != nil {
		return answer{}, err
	}
	out, err := s.Commands.RestoreIntegration(r, r.caller, r.id(), version, on)
	return s.changed(r, out, on, http.StatusOK, err)
}

func wantedVersion(doc domain.Document) (uint64, error) {
	problems := unknownMembers("", doc, "version")
	number, ok := doc["version"].(json.Number)
	version, whole := domain.WholeNumber(number)
	switch {
	case doc["version"] == nil:
		problems = append(problems, domain.Problem{Pointer: "/version", Code: "required", Detail: "is required"})
	case !ok || !whole || version < 1:
		problems = append(problems, domain.Problem{Pointer: "/version", Code: "range", Detail: "must be a version from 1"})
	}
	return uint64(max(version, 0)), domain.RefuseAll(problems)
}
