package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// A Tool is an endpoint as it is offered to an LLM.
type Tool struct {
	Name        string          // letters, digits, hyphens and underscores, at most 64
	Description string          // written for an LLM
	InputSchema json.RawMessage // JSON Schema, always of an object
	Integration Integration
	Endpoint    Endpoint
}

// Tools returns the endpoints of an integration as tools.
func (i Integration) Tools() []Tool {
	tools := make([]Tool, len(i.Endpoints))
	for n, e := range i.Endpoints {
		tools[n] = Tool{
			Name: ToolName(i.Name, e.Name), Description: i.DisplayName + ": " + e.Description,
			InputSchema: e.ToolSchema(), Integration: i, Endpoint: e,
		}
	}
	return tools
}

const (
	maxToolName   = 64 // every LLM provider accepts this length
	toolSeparator = "__"
)

// ToolName returns the tool name of an endpoint: both names joined by two
// underscores. A name that would be too long, or that could be split in another
// way, ends in a hash.
func ToolName(integration, endpoint string) string {
	plain := integration + toolSeparator + endpoint
	if len(plain) <= maxToolName && !strings.Contains(integration+"_", toolSeparator) && !strings.Contains("_"+endpoint, toolSeparator) {
		return plain
	}
	sum := sha256.Sum256([]byte(integration + "\x00" + endpoint))
	hash := "_" + toolSeparator + hex.EncodeToString(sum[:6])
	return plain[:min(len(plain), maxToolName-len(hash))] + hash
}

// SplitToolName is the reverse of ToolName. It fails for a name that ends in a
// hash, which must be looked up.
func SplitToolName(tool string) (integration, endpoint string, ok bool) {
	integration, endpoint, ok = strings.Cut(tool, toolSeparator)
	return integration, endpoint, ok && ToolName(integration, endpoint) == tool
}

// ToolSchema returns the input schema in a form that every provider accepts: that of
// an object, with the path parameters included. Events stored before other types
// were refused may still hold them.
func (e Endpoint) ToolSchema() json.RawMessage {
	schema := map[string]any{}
	if decodeExact(e.InputSchema, &schema) != nil || schema == nil {
		schema = map[string]any{}
	}
	schema["type"] = "object"
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		properties = map[string]any{}
	}
	required, _ := schema["required"].([]any)
	for name := range e.QueryTemplate() {
		optional(properties, name)
	}
	for _, name := range e.HeaderPlaceholders() {
		optional(properties, name)
	}
	for _, placeholder := range e.Placeholders() {
		name := e.Property(placeholder)
		if properties[name] == nil {
			properties[name] = map[string]any{"type": "string"}
		}
		if !slices.Contains(required, any(name)) {
			required = append(required, name) // a call without it is refused
		}
	}
	schema["properties"] = properties
	if len(required) > 0 {
		schema["required"] = required
	}
	data, err := json.Marshal(schema)
	if err != nil {
		return json.RawMessage(`{"type":"object"}`)
	}
	return data
}

// optional adds a property that takes a text, unless there is one of that name.
func optional(properties map[string]any, name string) {
	if properties[name] == nil {
		properties[name] = map[string]any{"type": "string"}
	}
}
