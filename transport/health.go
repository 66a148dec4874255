package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// healthAnswer summarises a health check. Unknown is omitted when it is 0.
type healthAnswer struct {
	Healthy      int                  `json:"healthy"`
	Unhealthy    int                  `json:"unhealthy"`
	Unknown      int                  `json:"unknown,omitempty"`
	Total        int                  `json:"total"`
	CheckedAt    time.Time            `json:"checked_at"`
	Integrations []healthResultAnswer `json:"integrations,omitzero"` // nil: only the totals were requested
}

type healthResultAnswer struct {
	ID          domain.ID          `json:"id"`
	Name        string             `json:"name"`
	DisplayName string             `json:"display_name"`
	Protocol    domain.Protocol    `json:"protocol"`
	Builtin     bool               `json:"builtin"`
	Status      domain.ProbeStatus `json:"status"` // unknown when it could not be probed
	HTTPStatus  *int               `json:"http_status"`
	DurationMS  *milliseconds      `json:"duration_ms"`
	Message     string             `json:"message"`
	TestedAt    *time.Time         `json:"tested_at"`
}

// maxHealthAge bounds max_age_ms: a day.
const maxHealthAge = 24 * 60 * 60 * 1000

func (s *Server) checkHealth(r *request) (answer, error) {
	q := r.query()
	maxAge := q.integer("max_age_ms", 30_000, 0, maxHealthAge)
	details := q.boolean("details")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	if err := s.waitForRead(r); err != nil {
		return answer{}, err
	}
	report, err := s.Health(r, r.caller, time.Duration(maxAge)*time.Millisecond)
	if err != nil {
		return answer{}, err
	}
	a := healthAnswer{Total: len(report.Integrations), CheckedAt: instant(report.CheckedAt)}
	if details == nil || *details {
		a.Integrations = make([]healthResultAnswer, 0, len(report.Integrations))
	}
	for _, result := range report.Integrations {
		if a.Integrations != nil {
			a.Integrations = append(a.Integrations, showHealth(result))
		}
		switch {
		case !result.Known:
			a.Unknown++
		case result.Probe.Status == domain.Healthy:
			a.Healthy++
		default:
			a.Unhealthy++
		}
	}
	return answer{status: http.StatusOK, body: a}, nil
}

func showHealth(result domain.HealthResult) healthResultAnswer {
	i, p := result.Integration, result.Probe
	a := healthResultAnswer{
		ID: i.ID, Name: i.Name, DisplayName: i.DisplayName, Protocol: i.Protocol, Builtin: i.Builtin,
		Status: "unknown", Message: p.Message,
	}
	if result.Known {
		a.Status, a.HTTPStatus, a.DurationMS, a.TestedAt = p.Status, nullable(p.HTTPStatus), new(milliseconds(p.Duration)), new(instant(p.At))
	}
	return a
}
