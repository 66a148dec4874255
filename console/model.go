package console

import (
	"encoding/json"
	"time"
)

// integration is an integration as the API shows it, as far as pages need it.
type integration struct {
	ID             string                     `json:"id"`
	Name           string                     `json:"name"`
	DisplayName    string                     `json:"display_name"`
	Protocol       string                     `json:"protocol"`
	BaseURL        *string                    `json:"base_url"`
	Auth           *auth                      `json:"auth"`
	Endpoints      []endpoint                 `json:"endpoints"`
	Enabled        bool                       `json:"enabled"`
	Builtin        bool                       `json:"builtin"`
	MCPTransport   *string                    `json:"mcp_transport"`
	MCPCommand     *string                    `json:"mcp_command"`
	MCPURL         *string                    `json:"mcp_url"`
	HealthCheck    *healthCheck               `json:"health_check"`
	CreatedAt      time.Time                  `json:"created_at"`
	UpdatedAt      time.Time                  `json:"updated_at"`
	Version        uint64                     `json:"version"`
	LastTestStatus *string                    `json:"last_test_status"`
	LastTestReason *string                    `json:"last_test_message"`
	LastTestedAt   *time.Time                 `json:"last_tested_at"`
	Headers        map[string]json.RawMessage `json:"headers"`
}

// Status is one word for its state: that of its last probe, unless it is disabled.
func (i integration) Status() string {
	switch {
	case !i.Enabled:
		return "disabled"
	case i.Builtin && text(i.LastTestStatus) == "misconfigured": // the operator gave it no key, which is no failure
		return "unset"
	}
	return text(i.LastTestStatus)
}

// Why is why it fails, "" if it doesn't.
func (i integration) Why() string {
	if markOf(i.Status()).Class != "bad" {
		return ""
	}
	return text(i.LastTestReason)
}

// Where is what it connects to.
func (i integration) Where() string {
	for _, at := range []*string{i.BaseURL, i.MCPURL, i.MCPCommand} {
		if at != nil {
			return *at
		}
	}
	return ""
}

type auth struct {
	Type    string            `json:"type"`
	Secrets map[string]secret `json:"secrets"`
}

type secret struct {
	Set       bool      `json:"set"`
	Version   uint64    `json:"version"`
	UpdatedAt time.Time `json:"updated_at"`
}

type endpoint struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	InputSchema json.RawMessage `json:"input_schema"`
}

// Writes reports whether a call may change something upstream.
func (e endpoint) Writes() bool { return e.Method != "GET" && e.Method != "" }

type healthCheck struct {
	Method          string `json:"method"`
	Path            string `json:"path"`
	ExpectStatus    *int   `json:"expect_status"`
	IntervalSeconds int    `json:"interval_seconds"`
}

// probe is the result of a test of a connection.
type probe struct {
	Status     string    `json:"status"`
	HTTPStatus *int      `json:"http_status"`
	DurationMS float64   `json:"duration_ms"`
	Message    string    `json:"message"`
	TestedAt   time.Time `json:"tested_at"`
	Changed    bool      `json:"changed"`
	Actor      string    `json:"actor"`
	Steps      []struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail"`
	} `json:"steps"`
}

// probes is the health of an integration over time.
type probes struct {
	Items  []probe `json:"items"`
	Uptime struct {
		Day   uptime `json:"24h"`
		Month uptime `json:"30d"`
	} `json:"uptime"`
	HasMore           bool    `json:"has_more"`
	ContinuationToken *string `json:"continuation_token"`
}

type uptime struct {
	Healthy int        `json:"healthy"`
	Total   int        `json:"total"`
	Ratio   *float64   `json:"ratio"`
	Since   *time.Time `json:"since"`
}

// change is a difference in a configuration.
type change struct {
	Pointer string `json:"pointer"`
	Old     any    `json:"old"`
	New     any    `json:"new"`
	Secret  bool   `json:"secret"`
}

// event is a change of an integration, in its history.
type event struct {
	Position      uint64    `json:"position"`
	IntegrationID string    `json:"integration_id"`
	Name          *string   `json:"name"`
	Version       uint64    `json:"version"`
	Type          string    `json:"type"`
	Time          time.Time `json:"time"`
	Actor         string    `json:"actor"`
	Address       *string   `json:"address"`
	RequestID     *string   `json:"request_id"`
	Reason        *string   `json:"reason"`
	Problem       *string   `json:"problem"`
}

// recorded is an event with the values that it changed.
type recorded struct {
	event
	Changed []change `json:"changed"`
}

// feedEvent is an event with the pointers of what it changed.
type feedEvent struct {
	event
	Changed       []string       `json:"changed"`
	Authorization *authorization `json:"authorization"` // nil: it is about the integration
}

// authorization is what a person has permitted, after an event.
type authorization struct {
	State  string  `json:"state"`
	Reason *string `json:"reason"`
}

// dryRun is what a change would do.
type dryRun struct {
	Changes []change `json:"changes"`
}

// apiKey is an API key, without its secret.
type apiKey struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Permissions  []string   `json:"permissions"`
	Integrations []string   `json:"integrations"`
	Tools        []string   `json:"tools"`
	Methods      []string   `json:"methods"`
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    string     `json:"created_by"`
	ExpiresAt    *time.Time `json:"expires_at"`
	RotatedAt    *time.Time `json:"rotated_at"`
	LastUsedAt   *time.Time `json:"last_used_at"`
	Key          string     `json:"key"` // only of one that was just made
}

// listed is a page of integrations.
type listed struct {
	Items             []integration `json:"items"`
	HasMore           bool          `json:"has_more"`
	ContinuationToken *string       `json:"continuation_token"`
	Total             int           `json:"total"`
}

// readOnly are members that the API shows and nobody sets.
var readOnly = []string{"id", "workspace_id", "name", "builtin", "created_at", "updated_at", "version", "last_test_status", "last_test_message", "last_tested_at"}
