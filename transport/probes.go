package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// probesAnswer is the probe history of an integration.
type probesAnswer struct {
	Items             []probedAnswer `json:"items"` // newest first
	HasMore           bool           `json:"has_more"`
	ContinuationToken *string        `json:"continuation_token"`
	Uptime            uptimesAnswer  `json:"uptime"`
}

type probedAnswer struct {
	Position   uint64              `json:"position"`
	Status     domain.ProbeStatus  `json:"status"`
	Previous   *domain.ProbeStatus `json:"previous"`
	Changed    bool                `json:"changed"`
	HTTPStatus *int                `json:"http_status"`
	DurationMS milliseconds        `json:"duration_ms"`
	Message    string              `json:"message"`
	TestedAt   time.Time           `json:"tested_at"`
	Actor      string              `json:"actor"`
}

type uptimesAnswer struct {
	Day   uptimeAnswer `json:"24h"`
	Month uptimeAnswer `json:"30d"`
}

type uptimeAnswer struct {
	Healthy int        `json:"healthy"`
	Total   int        `json:"total"`
	Ratio   *float64   `json:"ratio"` // null without probes
	Since   *time.Time `json:"since"` // the first counted probe, or its day
}

func showUptime(u audit.Uptime) uptimeAnswer {
	a := uptimeAnswer{Healthy: u.Healthy, Total: u.Total}
	if u.Total > 0 {
		a.Ratio, a.Since = new(float64(u.Healthy)/float64(u.Total)), new(instant(u.Since))
	}
	return a
}

func (s *Server) listProbes(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	scope := []string{"probes", string(r.workspace), string(r.id())}
	before, err := s.openPosition(token, scope)
	if err != nil {
		return answer{}, err
	}
	if err := s.waitForRead(r); err != nil {
		return answer{}, err
	}
	i, err := s.Read.Get(r, r.workspace, r.id())
	if err != nil {
		return answer{}, err
	}
	past, err := s.Audit.Probes(r, i.Integration, s.Now(), before, limit)
	if err != nil {
		return answer{}, err
	}
	body := probesAnswer{
		Items: make([]probedAnswer, len(past.Items)), HasMore: past.Next > 0,
		Uptime: uptimesAnswer{Day: showUptime(past.Day), Month: showUptime(past.Month)},
	}
	for n, p := range past.Items {
		body.Items[n] = showProbed(p.Position, p.Actor, p.IntegrationProbed)
	}
	if past.Next > 0 {
		body.ContinuationToken = new(s.sealPosition(past.Next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func showProbed(position uint64, actor string, p domain.IntegrationProbed) probedAnswer {
	return probedAnswer{
		Position: position, Status: p.Probe.Status, Previous: nullable(p.Previous), Changed: p.Changed(), HTTPStatus: nullable(p.Probe.HTTPStatus),
		DurationMS: milliseconds(p.Probe.Duration), Message: p.Probe.Message, TestedAt: instant(p.Probe.At), Actor: actor,
	}
}

// EncodeProbe is EncodeEvent for the result of a probe.
func EncodeProbe(e audit.Entry) []byte {
	if e.Probed == nil { // it can't be read
		return nil
	}
	return encode(e.Type, showProbed(e.Position, e.Actor, *e.Probed))
}

// streamProbes streams the results of the probes of an integration, from now on or after the
// position in Last-Event-ID.
func (s *Server) streamProbes(r *request) (answer, error) {
	id := r.id()
	if err := s.Audit.Known(r, r.workspace, id); err != nil {
		return answer{}, err
	}
	return s.followOnly(r, s.LiveProbes, func(note audit.Notification) audit.Notification {
		if note.Entry.ID != id {
			return audit.Notification{Position: note.Position}
		}
		return note
	})
}
