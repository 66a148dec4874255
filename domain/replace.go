package domain

import (
	"cmp"
	"encoding/json"
	"maps"
)

// Exact is Document with what Replace leaves as it is where a request leaves it out.
func (c Configuration) Exact() Document {
	doc := c.Document()
	endpoints, _ := doc["endpoints"].([]any)
	for n, e := range endpoints {
		if members, ok := e.(map[string]any); ok {
			members["approval"] = cmp.Or(string(c.Endpoints[n].Approval), string(ApproveNever))
			members["record"] = cmp.Or(string(c.Endpoints[n].Record), string(RecordNone))
		}
	}
	return doc
}

// Document returns the configuration as a request would carry it, without its
// secrets. Replace turns it back into the same configuration, but for the approval and
// record of endpoints that the integration has.
func (c Configuration) Document() Document {
	doc := documentOf(c)
	withoutRefs(doc)
	delete(doc, "header_secrets")
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
		delete(auth, "signing_keys")
	}
}

// Replace decides to give the integration exactly the configuration in doc: an
// absent member takes its default, but the approval and record of an endpoint stay. An
// absent secret keeps its present value if it would go to the same place. It refuses as
// Update does.
func (i Integration) Replace(doc Document, by Attempt, rules Rules) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	blank := i
	blank.Configuration = Configuration{Protocol: REST, Enabled: true, Auth: i.Auth.blank(), Endpoints: []Endpoint{}, MCPHeaders: i.MCPHeaders, Headers: i.Headers, HeaderSecrets: i.HeaderSecrets}
	for _, e := range i.Endpoints { // so that an endpoint that stays keeps its secret, and nobody ends its oversight by leaving that out
		blank.Endpoints = append(blank.Endpoints, Endpoint{Name: e.Name, Auth: e.Auth.blank(), Approval: e.Approval, Record: e.Record})
	}
	whole := Document{"auth": nil}
	maps.Copy(whole, doc)
	if whole["endpoints"] == nil {
		whole["endpoints"] = []any{}
	}
	if whole["headers"] == nil {
		whole["headers"] = nil
	}
	if whole["mcp_headers"] == nil && whole["protocol"] == string(MCP) {
		whole["mcp_headers"] = map[string]any{}
	}
	return i.updated(blank.Configuration, whole, by, rules)
}

// secretsOf returns the members of values that are secrets, which null keeps.
func secretsOf(values map[string]*string) map[string]*string {
	secrets := map[string]*string{}
	for name, value := range values {
		if value == nil {
			secrets[name] = nil
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	return secrets
}

// blank returns the auth with its secrets and defaults only.
func (a *Auth) blank() *Auth {
	if a == nil {
		return nil
	}
	blank := Auth{Type: a.Type}.withDefaults()
	blank.Secrets, blank.PrivateKeyGenerate, blank.SigningKeys = a.Secrets, a.PrivateKeyGenerate, a.SigningKeys
	blank.TokenParams, blank.TokenHeaders = secretsOf(a.TokenParams), secretsOf(a.TokenHeaders)
	return &blank
}
