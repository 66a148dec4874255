package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Page is one answer to tools/list, as far as it is read.
type Page struct {
	Tools   []Tool
	Skipped []domain.Skipped // tools that can't be called, and why
	Next    string           // the cursor of the next page; "" for the last one
}

// Tool is a tool of a server, in its words.
type Tool struct {
	Name        string
	Title       string
	Description string
	InputSchema json.RawMessage // an object; nil: there is none

	OutputSchema json.RawMessage // an object; nil: there is none that can be used

	Annotations *domain.Annotations
}

// String counts the tools of p, such as "more than 50 tools".
func (p Page) String() string {
	text := fmt.Sprintf("%d tools", len(p.Tools))
	switch {
	case p.Next != "":
		text = fmt.Sprintf("more than %d tools", len(p.Tools))
	case len(p.Tools) == 1:
		text = "1 tool"
	}
	if n := len(p.Skipped); n > 0 {
		text += fmt.Sprintf(", and %d that can't be called", n)
	}
	return text
}

// ListTools returns one page of the tools. A tool that is malformed is skipped.
func (s *Session) ListTools(ctx context.Context, cursor string) (Page, *callerror.Error) {
	raw, e := s.request(ctx, listMethod, func(ctx context.Context, client *sdk.ClientSession) error {
		_, err := client.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		return err
	})
	if e != nil {
		return Page{}, e
	}
	page, ok := readPage(raw)
	if !ok {
		return Page{}, callerror.Upstream("What the MCP server answered is not a list of tools.")
	}
	return page, nil
}

func readPage(raw json.RawMessage) (page Page, ok bool) {
	var listed struct {
		Tools []json.RawMessage `json:"tools"`
		Next  json.RawMessage   `json:"nextCursor"`
	}
	if json.Unmarshal(raw, &listed) != nil {
		return Page{}, false
	}
	_ = json.Unmarshal(listed.Next, &page.Next) // what is no text is no cursor
	for n, one := range listed.Tools {
		tool, err := readTool(one)
		if err == nil {
			page.Tools = append(page.Tools, tool)
			continue
		}
		if tool.Name == "" {
			tool.Name = fmt.Sprintf("tool %d of the list", n+1)
		}
		page.Skipped = append(page.Skipped, domain.Skipped{Operation: tool.Name, Reason: err.Error()})
	}
	return page, true
}

// readTool reads one tool. An error is a sentence on why it can't be called; the
// tool then has its name at most.
func readTool(raw json.RawMessage) (t Tool, err error) {
	var read struct {
		Name        json.RawMessage `json:"name"`
		Title       json.RawMessage `json:"title"`
		Description json.RawMessage `json:"description"`
		InputSchema json.RawMessage `json:"inputSchema"`
		Annotations json.RawMessage `json:"annotations"`
		Output      json.RawMessage `json:"outputSchema"`
		Execution   json.RawMessage `json:"execution"`
	}
	if json.Unmarshal(raw, &read) != nil || json.Unmarshal(read.Name, &t.Name) != nil || t.Name == "" {
		return t, errors.New("It has no name.") //nolint:staticcheck // a sentence for a person
	}
	_ = json.Unmarshal(read.Title, &t.Title)
	if len(read.Description) > 0 && json.Unmarshal(read.Description, &t.Description) != nil {
		return t, errors.New("Its description is not a text.") //nolint:staticcheck // the same
	}
	if schema := bytes.TrimSpace(read.InputSchema); len(schema) > 0 && string(schema) != "null" {
		var parts struct {
			Type any `json:"type"`
		}
		if schema[0] != '{' || json.Unmarshal(schema, &parts) != nil {
			return t, errors.New("Its inputSchema is not an object.") //nolint:staticcheck // the same
		}
		if kind, isText := parts.Type.(string); isText && kind != "object" {
			return t, fmt.Errorf("Its inputSchema takes no object, but the type %q.", kind) //nolint:staticcheck // the same
		}
		if err := checkHeaders(schema); err != nil {
			return t, err
		}
		t.InputSchema = schema
	}
	var execution struct {
		TaskSupport string `json:"taskSupport"`
	}
	if json.Unmarshal(read.Execution, &execution) == nil && execution.TaskSupport == "required" {
		return t, errors.New("It can be called as a task only, which is not supported.") //nolint:staticcheck // the same
	}
	t.Annotations = readAnnotations(read.Annotations)
	var output struct {
		Type any `json:"type"`
	}
	if schema := bytes.TrimSpace(read.Output); len(schema) > 0 && schema[0] == '{' && json.Unmarshal(schema, &output) == nil && output.Type == "object" {
		t.OutputSchema = schema
	}
	return t, nil
}

// readAnnotations reads the hints of a tool, nil when there are none.
func readAnnotations(raw json.RawMessage) *domain.Annotations {
	var hints struct {
		ReadOnly    *bool `json:"readOnlyHint"`
		Destructive *bool `json:"destructiveHint"`
		Idempotent  *bool `json:"idempotentHint"`
		OpenWorld   *bool `json:"openWorldHint"`
	}
	if json.Unmarshal(raw, &hints) != nil {
		return nil
	}
	a := domain.Annotations(hints)
	if a == (domain.Annotations{}) {
		return nil
	}
	return &a
}

// HeaderKeyword marks a property of a schema whose argument travels as a header too
// (SEP-2243).
const HeaderKeyword = "x-mcp-header"

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// HasHeaders reports whether arguments of a tool travel as headers too.
func HasHeaders(schema json.RawMessage) bool { return bytes.Contains(schema, []byte(HeaderKeyword)) }

// checkHeaders refuses a schema whose headers a client must not send.
func checkHeaders(schema json.RawMessage) error {
	if !HasHeaders(schema) {
		return nil
	}
	return checkHeadersIn(schema, map[string]bool{})
}

func checkHeadersIn(schema json.RawMessage, seen map[string]bool) error {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	for name, raw := range s.Properties {
		var property map[string]json.RawMessage
		if json.Unmarshal(raw, &property) != nil {
			continue
		}
		if mark, marked := property[HeaderKeyword]; marked {
			var header, kind string
			_ = json.Unmarshal(mark, &header)
			_ = json.Unmarshal(property["type"], &kind)
			switch {
			case !headerName.MatchString(header):
				return fmt.Errorf("The header of its parameter %q is not the name of a header.", name) //nolint:staticcheck // a sentence for a person
			case kind != "string" && kind != "integer" && kind != "boolean":
				return fmt.Errorf("Its parameter %q can't travel as a header: it is no string, integer or boolean.", name) //nolint:staticcheck // the same
			case seen[strings.ToLower(header)]:
				return fmt.Errorf("Two of its parameters travel as the header %q.", header) //nolint:staticcheck // the same
			}
			seen[strings.ToLower(header)] = true
		}
		if err := checkHeadersIn(raw, seen); err != nil {
			return err
		}
	}
	return nil
}

// forSDK returns a page as the SDK reads it: with the tools that can be called, and of
// those what it needs to call them. One that is malformed would hide the others from it.
func forSDK(raw json.RawMessage) json.RawMessage {
	page, ok := readPage(raw)
	var members map[string]json.RawMessage
	if !ok || json.Unmarshal(raw, &members) != nil {
		return raw
	}
	tools := make([]*sdk.Tool, len(page.Tools))
	for n, t := range page.Tools {
		tools[n] = t.forSDK()
	}
	members["tools"], _ = json.Marshal(tools)
	if _, isText := members["nextCursor"]; isText && page.Next == "" {
		delete(members, "nextCursor")
	}
	written, err := json.Marshal(members)
	if err != nil {
		return raw
	}
	return written
}

func (t Tool) forSDK() *sdk.Tool {
	tool := &sdk.Tool{Name: t.Name, InputSchema: t.InputSchema}
	if t.InputSchema == nil {
		tool.InputSchema = json.RawMessage(`{"type":"object"}`)
	}
	return tool
}

// knownTool is the key of a tool that is listed without asking the server.
type knownTool struct{}

// Know gives the session the schema of a tool that was listed in an earlier one: the
// arguments that travel as headers are in it.
func (s *Session) Know(t Tool) {
	ctx := context.WithValue(s.ctx, knownTool{}, t.forSDK())
	_ = await(ctx, func() error {
		_, err := s.client.ListTools(ctx, &sdk.ListToolsParams{Cursor: "known"})
		return err //nolint:wrapcheck // there is none: nothing is sent
	})
}

// listKnown answers Know.
func listKnown(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, request sdk.Request) (sdk.Result, error) {
		if t, ok := ctx.Value(knownTool{}).(*sdk.Tool); ok && method == listMethod {
			return &sdk.ListToolsResult{Tools: []*sdk.Tool{t}}, nil
		}
		return next(ctx, method, request)
	}
}
