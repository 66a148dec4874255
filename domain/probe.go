package domain

import (
	"slices"
	"time"
)

// ProbeStatus is the result of a probe.
type ProbeStatus string

// The results of a probe. Only Healthy is good.
const (
	Healthy       ProbeStatus = "healthy"
	AuthFailed    ProbeStatus = "auth_failed"
	Unreachable   ProbeStatus = "unreachable"
	Timeout       ProbeStatus = "timeout"
	SSLError      ProbeStatus = "ssl_error"
	Misconfigured ProbeStatus = "misconfigured"
)

// Probe is the outcome of one probe of an integration.
type Probe struct {
	Status       ProbeStatus   `json:"status"`                // empty: not probed, for lack of capacity
	AuthResolved bool          `json:"auth_resolved"`         // every secret opened and every token was issued; true without auth
	HTTPStatus   int           `json:"http_status,omitempty"` // 0: no response
	Duration     time.Duration `json:"duration_ns"`
	Message      string        `json:"message"` // a sentence for a person
	At           time.Time     `json:"at"`
	Steps        []ProbeStep   `json:"steps,omitempty"`
}

// ProbeStep is one step of a probe.
type ProbeStep struct {
	Name   string `json:"name"` // such as resolve_auth, request
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// ProbeDay counts the probes of one day.
type ProbeDay struct {
	Date    string `json:"date"` // UTC, such as 2026-05-06
	Healthy int    `json:"healthy"`
	Total   int    `json:"total"`
}

// probeDays is how many days are kept.
const probeDays = 30

// Probed returns the record of a probe of i, given the previous record, or the zero
// record if there was none. Counts of an earlier incarnation are dropped.
func (i Integration) Probed(last IntegrationProbed, p Probe) IntegrationProbed {
	next := IntegrationProbed{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, Probe: p}
	if last.Incarnation == i.Incarnation && last.ID == i.ID {
		next.Previous, next.Days = last.Probe.Status, slices.Clone(last.Days)
	}
	today := p.At.UTC().Format(time.DateOnly)
	if n := len(next.Days); n == 0 || next.Days[n-1].Date < today {
		next.Days = append(next.Days, ProbeDay{Date: today})
	}
	day := &next.Days[len(next.Days)-1] // if the clock goes back, the probe counts for the latest day
	day.Total++
	if p.Status == Healthy {
		day.Healthy++
	}
	oldest := p.At.UTC().AddDate(0, 0, 1-probeDays).Format(time.DateOnly)
	next.Days = slices.DeleteFunc(next.Days, func(d ProbeDay) bool { return d.Date < oldest })
	return next
}

// Changed reports whether the status differs from that of the previous probe.
func (e IntegrationProbed) Changed() bool { return e.Previous != e.Probe.Status }

// HealthReport is the outcome of a check of all enabled integrations of a workspace.
type HealthReport struct {
	CheckedAt    time.Time
	Integrations []HealthResult
}

// HealthResult is the outcome of the check of one integration.
type HealthResult struct {
	Integration Integration
	Probe       Probe
	Known       bool // false: it could not be probed, or not in time; Probe.Message has the reason
}
