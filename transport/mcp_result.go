package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolformat"
)

// maxReason is how many characters of a failed answer a model is shown.
const maxReason = 4000

// approvalMeta is the member of _meta with the approval that a call waits for.
const approvalMeta = "integrations/approval"

// showResult returns the result of a call as a model sees it. The content of an MCP tool
// passes as it is. A failure has what the upstream answered, a success where it put what
// was created.
func showResult(call domain.CallResult) *mcp.CallToolResult {
	result := &mcp.CallToolResult{IsError: call.Error != ""}
	if p := call.Approval; p != nil && call.ErrorCode == domain.CallApprovalRequired {
		return &mcp.CallToolResult{Content: []mcp.Content{text(call.Error)}, IsError: true, Meta: mcp.Meta{approvalMeta: map[string]any{
			"id": p.ID, "state": p.State, "expires_at": instant(p.ExpiresAt),
		}}}
	}
	if len(call.Unfit) > 0 {
		unfit := domain.RefuseAll(call.Unfit)
		return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{
			text("The upstream answered, and its answer does not fit the output_schema of the endpoint: " + unfit.Error()), text(call.FinalResult),
		}}
	}
	result.StructuredContent = call.Structured
	if tool := call.Tool; tool != nil && (!result.IsError || call.ErrorCode == domain.CallToolError) {
		for _, c := range tool.Content {
			result.Content = append(result.Content, content(c))
		}
		if tool.Structured != nil {
			result.StructuredContent = tool.Structured
		}
		if len(result.Content) == 0 {
			result.Content = []mcp.Content{text(call.FinalResult)}
		}
		return result
	}
	if result.IsError {
		result.Content = []mcp.Content{text(call.Error + reason(call))}
		if call.AuthorizeURL != "" {
			result.Content = append(result.Content, text("A person can sign in at "+call.AuthorizeURL))
		}
		return result
	}
	result.Content = []mcp.Content{text(call.FinalResult)}
	if created := location(call); created != "" && !strings.Contains(call.FinalResult, created) {
		result.Content = append(result.Content, text(fmt.Sprintf("The upstream answered %d %s. Location: %s", call.StatusCode, http.StatusText(call.StatusCode), created)))
	}
	return result
}

// reason returns what the upstream answered beside an error, as the end of a text.
func reason(call domain.CallResult) string {
	answered, isText := call.RawResponse.(string)
	if !isText && call.RawResponse != nil {
		written, err := json.Marshal(call.RawResponse)
		if err != nil {
			return ""
		}
		answered = string(written)
	}
	answered = strings.TrimSpace(answered)
	if answered == "" || strings.Contains(call.Error, answered) {
		return ""
	}
	if runes := []rune(answered); len(runes) > maxReason {
		answered = string(runes[:maxReason]) + "…"
	}
	return "\nIts answer: " + answered
}

// location returns where an answer has what was created or accepted, "" when it does not
// say.
func location(call domain.CallResult) string {
	switch call.StatusCode {
	case http.StatusCreated:
		return call.ResponseHeaders.Get("Location")
	case http.StatusAccepted:
		for _, name := range []string{"Location", "Content-Location"} {
			if at := call.ResponseHeaders.Get(name); at != "" {
				return at
			}
		}
	}
	return ""
}

// content returns a content of an MCP tool as it is, one of an unknown kind as text.
func content(c any) mcp.Content {
	written, err := json.Marshal(c)
	if err != nil {
		return text("")
	}
	var read mcp.CallToolResult
	if json.Unmarshal([]byte(`{"content":[`+string(written)+`]}`), &read) != nil || len(read.Content) != 1 {
		return text(string(written))
	}
	return read.Content[0]
}

func text(s string) mcp.Content { return &mcp.TextContent{Text: s} }

func toolText(s string, isError bool) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{text(s)}, IsError: isError}
}

// ofArguments returns the text of a refusal whose problems are those of arguments at a
// place.
func ofArguments(refusal *domain.Error, at string) string {
	own := *refusal
	own.Problems = make([]domain.Problem, len(refusal.Problems))
	for n, p := range refusal.Problems {
		if below, ok := strings.CutPrefix(p.Pointer, "/params"); ok {
			p.Pointer = at + below
		}
		own.Problems[n] = p
	}
	return own.Error()
}

// mcpTool returns a tool as MCP has it, unless that can't express it.
func mcpTool(t domain.Tool) (*mcp.Tool, bool) {
	rendered, err := toolformat.Render(t, toolformat.Options{Format: toolformat.MCP})
	if err != nil {
		return nil, false
	}
	written, err := json.Marshal(rendered)
	var tool mcp.Tool
	if err != nil || json.Unmarshal(written, &tool) != nil {
		return nil, false
	}
	tool.InputSchema = rendered["inputSchema"] // with numbers as they are written
	return &tool, true
}

// readArguments reads the arguments of a tool. None are like an empty object.
func readArguments(written json.RawMessage) (domain.Document, error) {
	if len(written) == 0 || bytes.Equal(written, []byte("null")) {
		return domain.Document{}, nil
	}
	return decode(written)
}

// marshalPlain writes a result as the SDK does, without escapes for HTML.
func marshalPlain(result *mcp.CallToolResult) (json.RawMessage, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(result)
	return bytes.TrimRight(written.Bytes(), "\n"), err
}
