package transport

import (
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/usage"
)

// usageAnswer has the calls of an integration in the last 30 days, and by hour.
type usageAnswer struct {
	From time.Time `json:"from"`
	countsAnswer
	Hours []hourAnswer `json:"hours"`
}

type hourAnswer struct {
	Hour time.Time `json:"hour"`
	countsAnswer
}

type countsAnswer struct {
	Calls      int                        `json:"calls"`
	Errors     int                        `json:"errors"`
	ErrorShare *float64                   `json:"error_share"` // null without calls
	Kinds      map[domain.CallKind]int    `json:"kinds"`
	Outcomes   map[domain.CallOutcome]int `json:"outcomes"`
	DurationMS *quantilesAnswer           `json:"duration_ms"` // null without calls
}

type quantilesAnswer struct {
	P50 milliseconds `json:"p50"`
	P95 milliseconds `json:"p95"`
	P99 milliseconds `json:"p99"`
}

func showCounts(c usage.Counts) countsAnswer {
	a := countsAnswer{Calls: c.Calls, Errors: c.Errors(), Kinds: c.Kinds, Outcomes: c.Outcomes}
	if c.Calls > 0 {
		a.ErrorShare = new(float64(a.Errors) / float64(a.Calls))
		a.DurationMS = &quantilesAnswer{
			P50: milliseconds(c.Durations.Quantile(0.5)), P95: milliseconds(c.Durations.Quantile(0.95)), P99: milliseconds(c.Durations.Quantile(0.99)),
		}
	}
	return a
}

func (s *Server) getUsage(r *request) (answer, error) {
	if err := s.Audit.Known(r, r.workspace, r.id()); err != nil {
		return answer{}, err
	}
	if r.key.NarrowsEndpoints() {
		return answer{}, domain.Errorf(domain.Forbidden, "forbidden", "the usage counts the calls of all endpoints, and this API key sees some of them")
	}
	now := s.Now()
	hours, err := s.Usage.Hours(r, domain.Ref{Workspace: r.workspace, ID: r.id()}, now)
	if err != nil {
		return answer{}, err
	}
	body := usageAnswer{From: usage.First(now), countsAnswer: showCounts(usage.Sum(hours)), Hours: make([]hourAnswer, len(hours))}
	for n, h := range hours {
		body.Hours[n] = hourAnswer{Hour: h.Start, countsAnswer: showCounts(h.Counts)}
	}
	return answer{status: http.StatusOK, body: body}, nil
}
