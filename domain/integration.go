// Package domain is the model of an integration: the facts that are recorded about
// it (Event), the state that the facts add up to (Integration), and the decisions
// that turn a request into a fact (Create, Update, Delete).
//
// It imports only the standard library and performs no I/O: every function depends
// on its arguments alone.
package domain

import (
	"maps"
	"slices"
	"strings"
	"time"
)

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

// MCPSession is what calls of an MCP server share.
type MCPSession string

// The sessions with MCP servers.
const (
	SessionAuto    MCPSession = ""         // what has no state that a call could leave behind for the next is kept, and programs are
	SessionPerCall MCPSession = "per_call" // each call connects anew
	SessionKept    MCPSession = "kept"     // calls share sessions, for a bounded time
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
	MCPSession   MCPSession           `json:"mcp_session,omitempty"`
	HealthCheck  *HealthCheck         `json:"health_check,omitempty"`

	Headers       map[string]*string   `json:"headers,omitempty"`        // of every call; nil: a secret
	HeaderSecrets map[string]SecretRef `json:"header_secrets,omitempty"` // by the name of the header
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
	c.eachAuth(func(a *Auth) {
		add(a.Secrets)
		for _, key := range a.SigningKeys {
			refs = append(refs, key.PrivateKey)
		}
	})
	add(c.MCPHeaders)
	add(c.HeaderSecrets)
	slices.SortFunc(refs, func(a, b SecretRef) int { return strings.Compare(a.Field, b.Field) })
	return refs
}

// SentSecrets returns the secrets that requests carry: all but the private keys, which sign
// and are never sent.
func (c Configuration) SentSecrets() []SecretRef {
	keys := map[string]bool{}
	c.eachAuth(func(a *Auth) {
		for field, ref := range a.Secrets {
			if !IsSentSecret(field) {
				keys[ref.ID] = true
			}
		}
		for _, key := range a.SigningKeys {
			keys[key.PrivateKey.ID] = true
		}
	})
	return slices.DeleteFunc(c.Secrets(), func(ref SecretRef) bool { return keys[ref.ID] })
}

// GeneratesKeys reports whether the service generates keys for an auth.
func (c Configuration) GeneratesKeys() bool {
	return slices.ContainsFunc(c.Auths(), func(a Auth) bool { return len(a.SigningKeys) > 0 })
}

// eachAuth calls visit for the auth of the integration, and for those of its endpoints.
func (c Configuration) eachAuth(visit func(*Auth)) {
	if c.Auth != nil {
		visit(c.Auth)
	}
	for _, e := range c.Endpoints {
		if e.Auth != nil {
			visit(e.Auth)
		}
	}
}

// Auths returns the auth of the integration and those of its endpoints.
func (c Configuration) Auths() []Auth {
	var all []Auth
	c.eachAuth(func(a *Auth) { all = append(all, *a) })
	return all
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
	copied.SigningKeys = slices.Clone(a.SigningKeys)
	return &copied
}

// NoSuchIntegration is the error for an id that the workspace doesn't have: never
// created, deleted, or of another workspace.
func NoSuchIntegration() error {
	return Errorf(NotFound, "integration_not_found", "there is no such integration in this workspace")
}
