package domain

import (
	"slices"
	"time"
)

// ProbeStatus says what a probe saw.
type ProbeStatus string

// What a probe may see. Only Healthy is good.
const (
	Healthy       ProbeStatus = "healthy"
	AuthFailed    ProbeStatus = "auth_failed"
	Unreachable   ProbeStatus = "unreachable"
	Timeout       ProbeStatus = "timeout"
	SSLError      ProbeStatus = "ssl_error"
	Misconfigured ProbeStatus = "misconfigured"
)

// Probe is what was seen when an integration was probed once.
type Probe struct {
	Status       ProbeStatus   `json:"status"`                // empty: there was no room for it here, so nothing was seen
	AuthResolved bool          `json:"auth_resolved"`         // every secret opened and every token was had; true when there is no auth
	HTTPStatus   int           `json:"http_status,omitempty"` // 0: no answer
	Duration     time.Duration `json:"duration_ns"`
	Message      string        `json:"message"` // a sentence a person can act on
	At           time.Time     `json:"at"`
	Steps        []ProbeStep   `json:"steps,omitempty"`
}

// ProbeStep is one thing a probe did.
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

// probeDays is how many days are counted.
const probeDays = 30

// Probed returns the record of a probe of i that followed last, the zero record
// when none did. What an earlier incarnation saw is not carried on.
func (i Integration) Probed(last IntegrationProbed, p Probe) IntegrationProbed {
	next := IntegrationProbed{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, Probe: p}
	if last.Incarnation == i.Incarnation && last.ID == i.ID {
		next.Previous, next.Days = last.Probe.Status, slices.Clone(last.Days)
	}
	today := p.At.UTC().Format(time.DateOnly)
	if n := len(next.Days); n == 0 || next.Days[n-1].Date < today {
		next.Days = append(next.Days, ProbeDay{Date: today})
	}
	day := &next.Days[len(next.Days)-1] // a clock that went back counts for the day it had come to
	day.Total++
	if p.Status == Healthy {
		day.Healthy++
	}
	oldest := p.At.UTC().AddDate(0, 0, 1-probeDays).Format(time.DateOnly)
	next.Days = slices.DeleteFunc(next.Days, func(d ProbeDay) bool { return d.Date < oldest })
	return next
}

// Changed reports whether the probe saw another status than the one before.
func (e IntegrationProbed) Changed() bool { return e.Previous != e.Probe.Status }

// HealthReport is what a check of all enabled integrations of a workspace saw.
type HealthReport struct {
	CheckedAt    time.Time
	Integrations []HealthResult
}

// HealthResult is what the check saw of one integration.
type HealthResult struct {
	Integration Integration
	Probe       Probe
	Known       bool // false: it could not be probed, or not in time; Probe.Message says why
}
