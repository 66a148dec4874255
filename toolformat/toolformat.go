// Package toolformat renders tools as each LLM provider and protocol takes them, and maps
// the arguments of a call back to what the endpoint takes.
//
// Its promise: a definition satisfies the published rules of its format, so that no tool
// makes a provider refuse a whole request; what can't be expressed is an error that says
// why; what it costs is bounded by the size of the schema.
package toolformat

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/domain"
)

// Format is how a provider or protocol takes tools.
type Format string

// The formats.
const (
	OpenAI    Format = "openai"    // Chat Completions API: {type, function}
	Anthropic Format = "anthropic" // Messages API: {name, description, input_schema}
	MCP       Format = "mcp"       // Tool of the Model Context Protocol
	Gemini    Format = "gemini"    // FunctionDeclaration of the Gemini API
)

// Formats returns all formats.
func Formats() []Format { return []Format{OpenAI, Anthropic, MCP, Gemini} }

// Options are how tools are rendered.
type Options struct {
	Format Format
	Strict bool // OpenAI: structured outputs, which every call then matches exactly
}

// Skipped is a tool that a format can't express.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // a sentence
}

// maxOpenAIDescription is in characters.
const maxOpenAIDescription = 1024

// Render returns the definition of a tool, ready to be written as JSON. An error is a
// sentence that says why the format can't express the tool.
func Render(t domain.Tool, o Options) (map[string]any, error) {
	root, err := read(t.InputSchema)
	if err != nil {
		return nil, err
	}
	switch o.Format {
	case Anthropic:
		schema := plain(flatten(root))
		rename(schema, keysOf(root), anthropicKey)
		return map[string]any{"name": t.Name, "description": t.Description, "input_schema": schema}, nil
	case MCP:
		return mcpTool(t, root), nil
	case Gemini:
		return geminiTool(t, root)
	case OpenAI:
	default:
		return nil, fmt.Errorf("There is no format %q.", o.Format) //nolint:staticcheck // a sentence for a person
	}
	function := map[string]any{"name": t.Name, "description": shorten(t.Description, maxOpenAIDescription)}
	if o.Strict {
		if function["parameters"], err = strict(flatten(root)); err != nil {
			return nil, err
		}
		function["strict"] = true
	} else {
		function["parameters"] = withItems(plain(flatten(root)))
	}
	return map[string]any{"type": "function", "function": function}, nil
}

// RenderAll renders tools in order. Those that the format can't express are skipped.
// For Gemini, the declarations are those of one tool, as its API takes them.
func RenderAll(tools []domain.Tool, o Options) (rendered []any, skipped []Skipped) {
	rendered = []any{}
	for _, t := range tools {
		one, err := Render(t, o)
		if err != nil {
			skipped = append(skipped, Skipped{Name: t.Name, Reason: err.Error()})
			continue
		}
		rendered = append(rendered, one)
	}
	if o.Format == Gemini && len(rendered) > 0 {
		rendered = []any{map[string]any{"functionDeclarations": rendered}}
	}
	return rendered, skipped
}

// shorten cuts a text to a number of characters, with an ellipsis where it was cut.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:limit-1]), " \n") + "…"
}
