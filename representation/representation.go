// Package representation makes the JSON that the API shows of an integration, in the parts that
// the read model stores: the integration, and its last probe.
//
// Its one promise: the parts joined are, byte for byte, what the API answers, and Version
// changes whenever they do, so that no read model shows those of another version. They contain
// no secret, only whether there is one.
package representation

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// Version is part of the version of every store of representations. A test requires another one
// whenever the representation of any integration changes.
const Version = "1"

// Integration is the representation of an integration.
type Integration struct {
	stored

	LastTestStatus *domain.ProbeStatus `json:"last_test_status"`
	LastTestReason *string             `json:"last_test_message"`
	LastTestedAt   *time.Time          `json:"last_tested_at"`

	RemovedEndpoints []string `json:"removed_endpoints,omitempty"` // only in the answer of an update that removes some
}

// stored is the part that depends on the integration alone. Version is its last member.
type stored struct {
	ID           domain.ID            `json:"id"`
	WorkspaceID  domain.Workspace     `json:"workspace_id"`
	Name         string               `json:"name"`
	DisplayName  string               `json:"display_name"`
	Protocol     domain.Protocol      `json:"protocol"`
	BaseURL      *string              `json:"base_url"`
	Auth         *auth                `json:"auth"`
	Endpoints    []endpoint           `json:"endpoints"`
	Enabled      bool                 `json:"enabled"`
	Builtin      bool                 `json:"builtin"`
	MCPTransport *domain.MCPTransport `json:"mcp_transport"`
	MCPSession   *domain.MCPSession   `json:"mcp_session"`
	MCPCommand   *string              `json:"mcp_command"`
	MCPArgs      []string             `json:"mcp_args"`
	MCPURL       *string              `json:"mcp_url"`
	MCPHeaders   map[string]*string   `json:"mcp_headers"`
	Headers      map[string]*string   `json:"headers"` // null: a secret
	HealthCheck  *healthCheck         `json:"health_check"`
	CreatedAt    time.Time            `json:"created_at"`
	UpdatedAt    time.Time            `json:"updated_at"`
	Version      uint64               `json:"version"`
}

// auth is domain.Auth with the public metadata of its secret.
type auth struct {
	domain.Auth
	SigningKeys []SigningKey      `json:"signing_keys,omitempty"`
	Secrets     map[string]secret `json:"secrets"`
}

type secret struct {
	Set       bool      `json:"set"`
	Version   uint64    `json:"version"`
	UpdatedAt time.Time `json:"updated_at"`
}

// endpoint is domain.Endpoint with null for unset values.
type endpoint struct {
	domain.Endpoint
	BaseURL         *string           `json:"base_url"`
	Auth            *auth             `json:"auth"`
	ResponseFilter  []string          `json:"response_filter"`
	ResponseMapping map[string]string `json:"response_mapping"`
	ResultKey       *string           `json:"result_key"`
	ResultTemplate  *string           `json:"result_template"`

	Approval domain.ApprovalRule `json:"approval"`
	Record   domain.RecordRule   `json:"record"`
}

type healthCheck struct {
	Method          string `json:"method"`
	Path            string `json:"path"`
	ExpectStatus    *int   `json:"expect_status"`
	IntervalSeconds int    `json:"interval_seconds"`
}

// SigningKey is the representation of a key pair that the service generated.
type SigningKey struct {
	ID        string     `json:"kid"`
	Algorithm string     `json:"algorithm"`
	SignsFrom time.Time  `json:"signs_from"`
	Until     *time.Time `json:"published_until"` // null: until it is replaced
}

// Probe is the part of a probe that is shown with its integration.
type Probe struct {
	Status  domain.ProbeStatus
	Message string
	At      time.Time
}

// Of returns the representation of an integration and its last probe, if there was one.
func Of(i domain.Integration, last *Probe) Integration {
	r := Integration{stored: storedOf(i)}
	if last != nil {
		r.LastTestStatus, r.LastTestReason, r.LastTestedAt = &last.Status, nullable(last.Message), new(Instant(last.At))
	}
	return r
}

func storedOf(i domain.Integration) stored {
	s := stored{
		ID: i.ID, WorkspaceID: i.Workspace, Name: i.Name, DisplayName: i.DisplayName, Protocol: i.Protocol,
		BaseURL: nullable(i.BaseURL), Auth: authOf(i.Auth), Endpoints: make([]endpoint, len(i.Endpoints)),
		Enabled: i.Enabled, Builtin: i.Builtin,
		MCPTransport: nullable(i.MCPTransport), MCPCommand: nullable(i.MCPCommand), MCPArgs: i.MCPArgs, MCPURL: nullable(i.MCPURL), MCPSession: nullable(i.MCPSession),
		MCPHeaders: make(map[string]*string, len(i.MCPHeaders)),
		Headers:    map[string]*string{},
		CreatedAt:  Instant(i.CreatedAt), UpdatedAt: Instant(i.UpdatedAt), Version: i.Version,
	}
	if s.MCPArgs == nil {
		s.MCPArgs = []string{}
	}
	for n, e := range i.Endpoints {
		s.Endpoints[n] = endpoint{
			Endpoint: e, BaseURL: nullable(e.BaseURL), Auth: authOf(e.Auth), ResponseFilter: e.ResponseFilter,
			ResponseMapping: e.ResponseMapping, ResultKey: nullable(e.ResultKey), ResultTemplate: nullable(e.ResultTemplate),
			Approval: cmp.Or(e.Approval, domain.ApproveNever), Record: cmp.Or(e.Record, domain.RecordNone),
		}
	}
	maps.Copy(s.Headers, i.Headers)
	for name := range maps.Keys(i.MCPHeaders) {
		s.MCPHeaders[name] = nil
	}
	if h := i.HealthCheck; h != nil {
		s.HealthCheck = &healthCheck{Method: h.Method, Path: h.Path, ExpectStatus: nullable(h.ExpectStatus), IntervalSeconds: h.IntervalSeconds}
	}
	return s
}

func authOf(a *domain.Auth) *auth {
	if a == nil {
		return nil
	}
	shown := &auth{Auth: *a, Secrets: make(map[string]secret, len(a.Secrets))}
	for field, ref := range a.Secrets {
		shown.Secrets[field] = secret{Set: ref.Version > 0, Version: ref.Version, UpdatedAt: Instant(ref.UpdatedAt)}
	}
	for _, key := range a.SigningKeys {
		shown.SigningKeys = append(shown.SigningKeys, OfSigningKey(key))
	}
	return shown
}

// OfSigningKey returns the representation of a signing key.
func OfSigningKey(k domain.PublishedKey) SigningKey {
	shown := SigningKey{ID: k.ID, Algorithm: k.Algorithm, SignsFrom: Instant(k.SignsFrom)}
	if !k.Until.IsZero() {
		shown.Until = new(Instant(k.Until))
	}
	return shown
}

// Instant returns a time as the API shows it: in UTC, and rounded down to microseconds, which
// every store keeps.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// nullable returns nil for a zero value, so that it is null in JSON.
func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Encode returns the beginning of the representation of an integration in JSON: all that
// depends on it alone. EncodeProbe returns the end.
func Encode(i domain.Integration) ([]byte, error) {
	data, err := encode(storedOf(i))
	if err != nil {
		return nil, fmt.Errorf("encode the representation of integration %s: %w", i.ID, err)
	}
	return data[:len(data)-1], nil
}

// Unprobed is the end of the representation of an integration that was not probed.
const Unprobed = `,"last_test_status":null,"last_test_message":null,"last_tested_at":null}`

// EncodeProbe returns the end of the representation of an integration in JSON: its last probe.
func EncodeProbe(last Probe) ([]byte, error) {
	data, err := encode(struct {
		Status  domain.ProbeStatus `json:"last_test_status"`
		Message *string            `json:"last_test_message"`
		At      time.Time          `json:"last_tested_at"`
	}{last.Status, nullable(last.Message), Instant(last.At)})
	if err != nil {
		return nil, fmt.Errorf("encode the representation of a probe: %w", err)
	}
	data[0] = ','
	return data, nil
}

// encode escapes no more than JSON requires.
func encode(v any) ([]byte, error) {
	var to bytes.Buffer
	encoder := json.NewEncoder(&to)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(to.Bytes(), []byte("\n")), nil
}
