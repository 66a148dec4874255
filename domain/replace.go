package domain

import (
	"encoding/json"
	"maps"
)

// Document returns the configuration as a request would carry it, without its
// secrets. Replace turns it back into the same configuration.
func (c Configuration) Document() Document {
	doc := documentOf(c)
	withoutRefs(doc)
	endpoints, _ := doc["endpoints"].([]any)
	for _, e := range endpoints {
		if members, ok := e.(map[string]any); ok {
			withoutRefs(members)
		}
	}
	if c.Protocol == MCP {
		headers := map[string]any{}
		for name := range c.MCPHeaders {
			headers[name] = nil
		}
		doc["mcp_headers"] = headers
	}
	return doc
}

// documentOf returns plain data as a request would carry it.
func documentOf(v any) Document {
	data, err := json.Marshal(v)
	if err != nil {
		return Document{} // it is plain data; this can't happen
	}
	var doc Document
	if decodeExact(data, &doc) != nil {
		return Document{}
	}
	return doc
}

// withoutRefs removes the secret references from an auth.
func withoutRefs(members map[string]any) {
	if auth, ok := members["auth"].(map[string]any); ok {
		delete(auth, "secrets")
	}
}

// Replace decides to give the integration exactly the configuration in doc: an
// absent member takes its default. An absent secret keeps its present value if it
// would go to the same place. It refuses as Update does.
func (i Integration) Replace(doc Document, by Attempt, rules Rules) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	blank := i
	blank.Configuration = Configuration{Protocol: REST, Enabled: true, Auth: i.Auth.blank(), Endpoints: []Endpoint{}, MCPHeaders: i.MCPHeaders}
	for _, e := range i.Endpoints { // so that the auth of an endpoint that stays keeps its secret
		blank.Endpoints = append(blank.Endpoints, Endpoint{Name: e.Name, Auth: e.Auth.blank()})
	}
	whole := Document{"auth": nil}
	maps.Copy(whole, doc)
	if whole["endpoints"] == nil {
		whole["endpoints"] = []any{}
	}
	if whole["mcp_headers"] == nil && whole["protocol"] == string(MCP) {
		whole["mcp_headers"] = map[string]any{}
	}
	return i.updated(blank.Configuration, whole, by, rules)
}

// blank returns the auth with its secrets and defaults only.
func (a *Auth) blank() *Auth {
	if a == nil {
		return nil
	}
	blank := Auth{Type: a.Type}.withDefaults()
	blank.Secrets = a.Secrets
	return &blank
}
