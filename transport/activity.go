package transport

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// activityAnswer is what happened to some integrations in the last 24 hours, by hour.
type activityAnswer struct {
	From  time.Time      `json:"from"` // of the first hour
	Items []activeAnswer `json:"items"`
}

type activeAnswer struct {
	IntegrationID domain.ID          `json:"integration_id"`
	Hours         []activeHourAnswer `json:"hours"` // with a call or a probe, oldest first
}

type activeHourAnswer struct {
	Hour    time.Time `json:"hour"`
	Calls   int       `json:"calls"`
	Errors  int       `json:"errors"`
	Probes  int       `json:"probes"`
	Healthy int       `json:"healthy"`
}

const (
	maxActive    = 200 // integrations of one request
	activeHours  = 24
	nameTooLong  = 200 // of an integration, in the query
	activityName = "integration_id"
)

// getActivity counts the calls and probes of some integrations by hour, for lists that show how
// each of them did.
func (s *Server) getActivity(r *request) (answer, error) {
	q := r.query()
	var names []string
	if text, given := q.text(activityName); given {
		names = strings.Split(text, ",")
	}
	switch {
	case len(names) > maxActive:
		q.problem(activityName, "length", "must be at most 200 names or ids")
	case slices.ContainsFunc(names, func(n string) bool { return n == "" || len(n) > nameTooLong }):
		q.problem(activityName, "format", "must be names or ids of integrations, separated by commas")
	}
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	if r.key.Narrow() {
		return answer{}, domain.Errorf(domain.Forbidden, "forbidden", "the activity counts the calls of all endpoints, and this API key sees some of them")
	}
	ids := make([]domain.ID, 0, len(names))
	for _, name := range names {
		if id := domain.ParseID(r.workspace, name); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	now := s.Now()
	from := now.UTC().Truncate(time.Hour).Add(-(activeHours - 1) * time.Hour)
	calls, err := s.Usage.Recent(r, r.workspace, ids, from, now)
	if err != nil {
		return answer{}, err
	}
	probes, err := s.Audit.ProbedByHour(r, r.workspace, ids, from)
	if err != nil {
		return answer{}, err
	}
	body := activityAnswer{From: instant(from), Items: make([]activeAnswer, len(ids))}
	for n, id := range ids {
		hours := map[time.Time]*activeHourAnswer{}
		at := func(start time.Time) *activeHourAnswer {
			if hours[start] == nil {
				hours[start] = &activeHourAnswer{Hour: instant(start)}
			}
			return hours[start]
		}
		for _, h := range calls[id] {
			one := at(h.Start)
			one.Calls, one.Errors = h.Calls, h.Errors()
		}
		for _, h := range probes[id] {
			one := at(h.Start)
			one.Probes, one.Healthy = h.Total, h.Healthy
		}
		body.Items[n] = activeAnswer{IntegrationID: id, Hours: []activeHourAnswer{}}
		for start := from; !start.After(now); start = start.Add(time.Hour) {
			if hours[start] != nil {
				body.Items[n].Hours = append(body.Items[n].Hours, *hours[start])
			}
		}
	}
	return answer{status: http.StatusOK, body: body}, nil
}
