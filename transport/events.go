package transport

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// eventAnswer is one event of a workspace.
type eventAnswer struct {
	Position      uint64    `json:"position"`
	IntegrationID domain.ID `json:"integration_id"`
	Name          *string   `json:"name"`
	Version       uint64    `json:"version"`
	Type          string    `json:"type"`
	Time          time.Time `json:"time"`
	Actor         string    `json:"actor"`
	Address       *string   `json:"address"`
	RequestID     *string   `json:"request_id"`
	Changed       []string  `json:"changed"` // JSON pointers; the history has the values
	Reason        *string   `json:"reason"`
	Problem       *string   `json:"problem"` // why the event can't be shown

	Authorization *authorizationChange `json:"authorization"` // null: the event is about the integration
}

// ShowEvent returns an event as JSON, as in every list of events. One of an authorization
// also names its subject, if that is not empty.
func ShowEvent(e audit.Entry, subject string) ([]byte, error) {
	if e.Approval != nil {
		return json.Marshal(showApprovalEvent(e))
	}
	shown := showEvent(e)
	if shown.Authorization != nil {
		shown.Authorization.Subject = nullable(subject)
	}
	return json.Marshal(shown)
}

func showEvent(e audit.Entry) eventAnswer {
	a := eventAnswer{
		Position: e.Position, IntegrationID: e.ID, Name: nullable(e.Name), Version: e.Version, Type: e.Type, Time: instant(e.At), Actor: e.Actor,
		Address: nullable(e.Address), RequestID: nullable(e.RequestID), Changed: e.Changed, Reason: nullable(e.Reason), Problem: nullable(e.Unread),
		Authorization: showAuthorizationChange(e),
	}
	if a.Changed == nil {
		a.Changed = []string{}
	}
	return a
}

// eventsAnswer is a page of the events of a workspace.
type eventsAnswer struct {
	Items             []eventAnswer `json:"items"`
	HasMore           bool          `json:"has_more"`
	ContinuationToken *string       `json:"continuation_token"`
	ArchivedThrough   *uint64       `json:"archived_through"` // null: the log has all events
}

const ndjson = "application/x-ndjson"

func (s *Server) listEvents(r *request) (answer, error) {
	f, limit, token, err := r.eventFilter()
	if err != nil {
		return answer{}, err
	}
	scope, beyond, err := s.openFeed(r, f, token)
	if err != nil {
		return answer{}, err
	}
	if r.accepts(ndjson) {
		return s.streamFeed(r, f, beyond, func(e audit.Entry) any { return showEvent(e) })
	}
	entries, next, err := s.Audit.Feed(r, r.workspace, f, beyond, limit)
	if err != nil {
		return answer{}, err
	}
	if r.accepts(fhirJSON) {
		return s.showAuditEvents(r, entries, s.nextToken(next, scope)), nil
	}
	archived, err := s.Audit.ArchivedThrough(r)
	if err != nil {
		return answer{}, err
	}
	body := eventsAnswer{Items: make([]eventAnswer, len(entries)), HasMore: next > 0, ArchivedThrough: nullable(archived)}
	for n, e := range entries {
		body.Items[n] = showEvent(e)
	}
	if next > 0 {
		body.ContinuationToken = new(s.sealPosition(next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// eventTypes returns the types in the feed of a workspace.
func eventTypes() []string {
	return append([]string{
		domain.NameOf(domain.IntegrationCreated{}), domain.NameOf(domain.IntegrationUpdated{}), domain.NameOf(domain.IntegrationDeleted{}),
	}, domain.AuthorizationNames()...)
}

func (r *request) eventFilter() (f audit.Filter, limit int, token string, err error) {
	q := r.query()
	limit = q.integer("limit", 50, 1, 200)
	token, _ = q.text("continuation_token")
	if types, given := q.text("type"); given {
		f.Types = strings.Split(types, ",")
		for _, t := range f.Types {
			if !slices.Contains(eventTypes(), t) {
				q.problem("type", "enum", "must be one or more of "+strings.Join(eventTypes(), ", ")+", separated by commas")
				break
			}
		}
	}
	f.Actor, _ = q.text("actor")
	if id, given := q.text("integration_id"); given {
		f.ID = domain.ParseID(r.workspace, id)
	}
	f.From, f.To = q.time("from"), q.time("to")
	switch order, given := q.text("order"); {
	case order == "newest":
		f.Newest = true
	case given && order != "oldest":
		q.problem("order", "enum", "must be oldest or newest")
	}
	return f, limit, token, domain.RefuseAll(q.problems)
}

// accepts reports whether the caller accepts a media type by name, with a weight above 0
// (RFC 9110, 12.4.2).
func (r *request) accepts(media string) bool {
	for one := range strings.SplitSeq(strings.Join(r.Request.Header.Values("Accept"), ","), ",") {
		named, parameters, err := mime.ParseMediaType(one)
		if err != nil || named != media {
			continue
		}
		weight, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		return err == nil && weight > 0
	}
	return false
}

// streamFeed writes the whole feed, one JSON object a line. If reading fails, it aborts the
// connection, so that the response isn't taken for complete.
func (s *Server) streamFeed(r *request, f audit.Filter, beyond uint64, show func(audit.Entry) any) (answer, error) {
	if r.Request.Method == http.MethodHead {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": ndjson}}, nil
	}
	const atOnce = 200
	entries, next, err := s.Audit.Feed(r, r.workspace, f, beyond, atOnce)
	if err != nil {
		return answer{}, err
	}
	out := s.newStream(r, ndjson)
	lines := json.NewEncoder(out)
	for {
		for _, e := range entries {
			if lines.Encode(show(e)) != nil {
				return answer{done: true}, nil // the caller disconnected
			}
		}
		if out.flush() != nil || next == 0 {
			return answer{done: true}, nil
		}
		if entries, next, err = s.Audit.Feed(r, r.workspace, f, next, atOnce); err != nil {
			s.breakOff(r, err)
		}
	}
}
