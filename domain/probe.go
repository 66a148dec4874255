package domain

import "time"

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
