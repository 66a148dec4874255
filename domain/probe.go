package domain

import "time"

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
	Status       ProbeStatus   `json:"status"`
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
