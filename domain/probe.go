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

// ProbeStatuses returns all results of a probe.
func ProbeStatuses() []ProbeStatus {
	return []ProbeStatus{Healthy, AuthFailed, Unreachable, Timeout, SSLError, Misconfigured}
}

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

// ProbeHours counts the probes of up to 24 hours, the last of which had a probe.
type ProbeHours struct {
	Last    string `json:"last"`    // UTC, such as 2026-05-06T13
	Healthy []int  `json:"healthy"` // of each hour up to the last, oldest first
	Total   []int  `json:"total"`
}

const (
	probeHours = 24 // how many are kept
	hourFormat = "2006-01-02T15"
)

// Start returns when the n-th hour began, the zero time if there are none.
func (h ProbeHours) Start(n int) time.Time {
	last, err := time.Parse(hourFormat, h.Last)
	if err != nil {
		return time.Time{}
	}
	return last.Add(-time.Duration(len(h.Total)-1-n) * time.Hour)
}

// with returns the hours with another probe. If the clock goes back, it counts for the last hour.
func (h ProbeHours) with(p Probe) ProbeHours {
	next := ProbeHours{Last: p.At.UTC().Format(hourFormat), Healthy: slices.Clone(h.Healthy), Total: slices.Clone(h.Total)}
	last, err := time.Parse(hourFormat, h.Last)
	passed := int(p.At.Sub(last) / time.Hour)
	switch {
	case err != nil || passed >= probeHours || len(h.Healthy) != len(h.Total):
		next.Healthy, next.Total = []int{0}, []int{0}
	case passed <= 0 && len(h.Total) > 0:
		next.Last = h.Last
	default:
		next.Healthy, next.Total = append(next.Healthy, make([]int, passed)...), append(next.Total, make([]int, passed)...)
		from := max(len(next.Total)-probeHours, 0)
		next.Healthy, next.Total = next.Healthy[from:], next.Total[from:]
	}
	at := len(next.Total) - 1
	next.Total[at]++
	if p.Status == Healthy {
		next.Healthy[at]++
	}
	return next
}

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
