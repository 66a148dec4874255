package transport

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// integrationAnswer is the representation of an integration. It contains no secret, only
// whether there is one.
type integrationAnswer struct {
	ID             domain.ID            `json:"id"`
	WorkspaceID    domain.Workspace     `json:"workspace_id"`
	Name           string               `json:"name"`
	DisplayName    string               `json:"display_name"`
	Protocol       domain.Protocol      `json:"protocol"`
	BaseURL        *string              `json:"base_url"`
	Auth           *authAnswer          `json:"auth"`
	Endpoints      []endpointAnswer     `json:"endpoints"`
	Enabled        bool                 `json:"enabled"`
	Builtin        bool                 `json:"builtin"`
	MCPTransport   *domain.MCPTransport `json:"mcp_transport"`
	MCPCommand     *string              `json:"mcp_command"`
	MCPArgs        []string             `json:"mcp_args"`
	MCPURL         *string              `json:"mcp_url"`
	MCPHeaders     map[string]*string   `json:"mcp_headers"`
	Headers        map[string]*string   `json:"headers"` // null: a secret
	HealthCheck    *healthCheckAnswer   `json:"health_check"`
	CreatedAt      time.Time            `json:"created_at"`
	UpdatedAt      time.Time            `json:"updated_at"`
	Version        uint64               `json:"version"`
	LastTestStatus *domain.ProbeStatus  `json:"last_test_status"`
	LastTestedAt   *time.Time           `json:"last_tested_at"`

	RemovedEndpoints []string `json:"removed_endpoints,omitempty"` // only in the answer of an update that removes some
}

// authAnswer is domain.Auth with the public metadata of its secret.
type authAnswer struct {
	domain.Auth
	SigningKeys []signingKeyAnswer      `json:"signing_keys,omitempty"`
	Secrets     map[string]secretAnswer `json:"secrets"`
}

type secretAnswer struct {
	Set       bool      `json:"set"`
	Version   uint64    `json:"version"`
	UpdatedAt time.Time `json:"updated_at"`
}

// endpointAnswer is domain.Endpoint with null for unset values.
type endpointAnswer struct {
	domain.Endpoint
	BaseURL         *string           `json:"base_url"`
	Auth            *authAnswer       `json:"auth"`
	ResponseFilter  []string          `json:"response_filter"`
	ResponseMapping map[string]string `json:"response_mapping"`
	ResultKey       *string           `json:"result_key"`
	ResultTemplate  *string           `json:"result_template"`
}

type healthCheckAnswer struct {
	Method          string `json:"method"`
	Path            string `json:"path"`
	ExpectStatus    *int   `json:"expect_status"`
	IntervalSeconds int    `json:"interval_seconds"`
}

type listAnswer struct {
	Items             []integrationAnswer `json:"items"`
	HasMore           bool                `json:"has_more"`
	ContinuationToken *string             `json:"continuation_token"`
	Total             int                 `json:"total"`
}

type dryRunAnswer struct {
	DryRun      bool               `json:"dry_run"`
	Changes     []changeAnswer     `json:"changes"`
	Integration *integrationAnswer `json:"integration"` // null when it would be gone
}

// changeAnswer is one difference. Old and new are omitted for a secret.
type changeAnswer struct {
	Pointer string `json:"pointer"`
	Old     any    `json:"old,omitempty"`
	New     any    `json:"new,omitempty"`
	Secret  bool   `json:"secret,omitempty"`
}

func show(i projections.Integration) integrationAnswer {
	a := integrationAnswer{
		ID: i.ID, WorkspaceID: i.Workspace, Name: i.Name, DisplayName: i.DisplayName, Protocol: i.Protocol,
		BaseURL: nullable(i.BaseURL), Auth: showAuth(i.Auth), Endpoints: make([]endpointAnswer, len(i.Endpoints)),
		Enabled: i.Enabled, Builtin: i.Builtin,
		MCPTransport: nullable(i.MCPTransport), MCPCommand: nullable(i.MCPCommand), MCPArgs: orEmpty(i.MCPArgs), MCPURL: nullable(i.MCPURL),
		MCPHeaders: make(map[string]*string, len(i.MCPHeaders)),
		Headers:    map[string]*string{},
		CreatedAt:  instant(i.CreatedAt), UpdatedAt: instant(i.UpdatedAt), Version: i.Version,
	}
	for n, e := range i.Endpoints {
		a.Endpoints[n] = endpointAnswer{
			Endpoint: e, BaseURL: nullable(e.BaseURL), Auth: showAuth(e.Auth), ResponseFilter: e.ResponseFilter,
			ResponseMapping: e.ResponseMapping, ResultKey: nullable(e.ResultKey), ResultTemplate: nullable(e.ResultTemplate),
		}
	}
	maps.Copy(a.Headers, i.Headers)
	for name := range maps.Keys(i.MCPHeaders) {
		a.MCPHeaders[name] = nil
	}
	if h := i.HealthCheck; h != nil {
		a.HealthCheck = &healthCheckAnswer{Method: h.Method, Path: h.Path, ExpectStatus: nullable(h.ExpectStatus), IntervalSeconds: h.IntervalSeconds}
	}
	if p := i.LastProbe; p != nil {
		a.LastTestStatus, a.LastTestedAt = &p.Status, new(instant(p.At))
	}
	return a
}

func showAuth(auth *domain.Auth) *authAnswer {
	if auth == nil {
		return nil
	}
	a := &authAnswer{Auth: *auth, Secrets: make(map[string]secretAnswer, len(auth.Secrets))}
	for field, ref := range auth.Secrets {
		a.Secrets[field] = showSecret(ref)
	}
	for _, key := range auth.SigningKeys {
		a.SigningKeys = append(a.SigningKeys, showSigningKey(key))
	}
	return a
}

func showSecret(ref domain.SecretRef) secretAnswer {
	return secretAnswer{Set: ref.Version > 0, Version: ref.Version, UpdatedAt: instant(ref.UpdatedAt)}
}

func showChanges(changes []domain.Change) []changeAnswer {
	shown := make([]changeAnswer, len(changes))
	for n, c := range changes {
		shown[n] = changeAnswer{Pointer: c.Pointer, Old: c.Old, New: c.New, Secret: c.Secret}
	}
	return shown
}

// instant returns a time as the API shows it: in UTC, and rounded down to microseconds, which
// every store keeps.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// nullable returns nil for a zero value, so that it is null in JSON.
func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// milliseconds is a duration in JSON.
type milliseconds time.Duration

// MarshalJSON writes the duration as a number of milliseconds.
func (m milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}
