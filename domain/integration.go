// Package domain is the model of an integration: the facts that are recorded about
// it (Event), the state that the facts add up to (Integration), and the decisions
// that turn a request into a fact (Create, Update, Delete).
//
// It imports only the standard library and performs no I/O: every function depends
// on its arguments alone.
package domain

import (
	"crypto/sha1" //nolint:gosec // UUID version 5 is defined with SHA-1 (RFC 9562, 5.5); nothing relies on its strength
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Workspace is the id of a workspace. ParseWorkspace keeps dots and wildcards out
// of it, and so out of subjects.
type Workspace string

var workspaceSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ParseWorkspace returns s as a Workspace, or an Invalid error.
func ParseWorkspace(s string) (Workspace, error) {
	if !workspaceSyntax.MatchString(s) {
		return "", Errorf(Invalid, "workspace_invalid", "a workspace id is 1 to 64 letters, digits, hyphens or underscores")
	}
	return Workspace(s), nil
}

// ID identifies an integration: a UUID.
type ID string

var uuidSyntax = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Ref identifies an integration across workspaces.
type Ref struct {
	Workspace Workspace
	ID        ID
}

// namespace is the UUID from which the ids of integrations are derived.
var namespace = [16]byte{0x6f, 0x1d, 0x3c, 0x5a, 0x8e, 0x42, 0x4b, 0x9c, 0x9a, 0x77, 0x0b, 0x25, 0xd4, 0xe8, 0x31, 0xfe}

// NewID returns the id of the integration called name in workspace w: a UUID
// version 5 (RFC 9562) of both, so that a unique name has a unique id.
func NewID(w Workspace, name string) ID {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(string(w) + "/" + name))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return ID(fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]))
}

// ParseID returns the id of the integration that idOrName refers to in workspace w.
// A UUID is an id; names can't look like one.
func ParseID(w Workspace, idOrName string) ID {
	if lower := strings.ToLower(idOrName); uuidSyntax.MatchString(lower) {
		return ID(lower)
	}
	return NewID(w, idOrName)
}

// Protocol is the protocol of an integration.
type Protocol string

// The supported protocols.
const (
	REST Protocol = "rest"
	FHIR Protocol = "fhir"
	MCP  Protocol = "mcp"
)

// Protocols lists them all.
func Protocols() []Protocol { return []Protocol{REST, FHIR, MCP} }

// MCPTransport is the transport to an MCP server.
type MCPTransport string

// The transports of MCP.
const (
	Stdio MCPTransport = "stdio"
	SSE   MCPTransport = "sse"
	HTTP  MCPTransport = "http"
)

// Integration is the state that the history of an integration adds up to. The zero
// value is an integration that does not exist yet.
type Integration struct {
	ID          ID        `json:"id"`
	Workspace   Workspace `json:"workspace_id"`
	Name        string    `json:"name"`
	Version     uint64    `json:"version"`     // counts the events of this integration, from 1
	Incarnation uint64    `json:"incarnation"` // the version at which it was last created
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Builtin     bool      `json:"builtin,omitempty"` // platform-managed; never stored
	Deleted     bool      `json:"deleted,omitempty"`
	Configuration
}

// Configuration is the part of an integration that callers set.
type Configuration struct {
	DisplayName  string               `json:"display_name"`
	Protocol     Protocol             `json:"protocol"`
	BaseURL      string               `json:"base_url,omitempty"`
	Auth         *Auth                `json:"auth,omitempty"`
	Endpoints    []Endpoint           `json:"endpoints"`
	Enabled      bool                 `json:"enabled"`
	MCPTransport MCPTransport         `json:"mcp_transport,omitempty"`
	MCPCommand   string               `json:"mcp_command,omitempty"`
	MCPArgs      []string             `json:"mcp_args,omitempty"`
	MCPURL       string               `json:"mcp_url,omitempty"`
	MCPHeaders   map[string]SecretRef `json:"mcp_headers,omitempty"`
	HealthCheck  *HealthCheck         `json:"health_check,omitempty"`
}

// HealthCheck overrides how an integration is probed.
type HealthCheck struct {
	Method          string `json:"method"`                  // GET or HEAD
	Path            string `json:"path"`                    // below the base URL
	ExpectStatus    int    `json:"expect_status,omitempty"` // 0: any status below 500 except a rejection of the credentials
	IntervalSeconds int    `json:"interval_seconds"`        // 0: on request only
}

// Exists reports whether the integration was created and not deleted since.
func (i Integration) Exists() bool { return i.ID != "" && !i.Deleted }

// Owner returns the owner of the integration's secrets.
func (i Integration) Owner() Owner {
	return Owner{Workspace: i.Workspace, ID: i.ID, Incarnation: i.Incarnation}
}

// Endpoint returns the endpoint called name.
func (i Integration) Endpoint(name string) (Endpoint, error) {
	at := slices.IndexFunc(i.Endpoints, func(e Endpoint) bool { return e.Name == name })
	if at < 0 {
		return Endpoint{}, Errorf(NotFound, "endpoint_not_found", "the integration %q has no endpoint of that name", i.Name)
	}
	return i.Endpoints[at], nil
}

// Secrets returns every secret reference in the configuration, in a fixed order.
func (c Configuration) Secrets() []SecretRef {
	var refs []SecretRef
	add := func(more map[string]SecretRef) {
		for _, ref := range more {
			refs = append(refs, ref)
		}
	}
	if c.Auth != nil {
		add(c.Auth.Secrets)
	}
	for _, e := range c.Endpoints {
		if e.Auth != nil {
			add(e.Auth.Secrets)
		}
	}
	add(c.MCPHeaders)
	slices.SortFunc(refs, func(a, b SecretRef) int { return strings.Compare(a.Field, b.Field) })
	return refs
}

// clone returns a copy that a decision may modify.
func (c Configuration) clone() Configuration {
	c.Auth = c.Auth.clone()
	c.Endpoints = slices.Clone(c.Endpoints)
	for n := range c.Endpoints {
		c.Endpoints[n].Auth = c.Endpoints[n].Auth.clone()
	}
	c.MCPHeaders = maps.Clone(c.MCPHeaders)
	return c
}

func (a *Auth) clone() *Auth {
	if a == nil {
		return nil
	}
	copied := *a
	return &copied
}

// NoSuchIntegration is the error for an id that the workspace doesn't have: never
// created, deleted, or of another workspace.
func NoSuchIntegration() error {
	return Errorf(NotFound, "integration_not_found", "there is no such integration in this workspace")
}

// Evolve returns the integration after e. It never fails: a recorded event has
// happened, whatever the present rules are.
func Evolve(i Integration, e Event) Integration {
	switch e := e.(type) {
	case IntegrationCreated:
		return e.Integration
	case IntegrationUpdated:
		return e.Integration
	case IntegrationDeleted:
		return Integration{ID: e.ID, Workspace: e.Workspace, Name: e.Name, Version: e.Version, UpdatedAt: e.At, Deleted: true}
	case IntegrationProbed, IntegrationInvoked:
		return i
	}
	return i
}
