package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Page is one answer to tools/list, as far as it is read.
type Page struct {
	Tools []Tool `json:"tools"`
	Next  string `json:"nextCursor"` // the cursor of the next page; "" for the last one
}

// Tool is a tool of a server, in its words.
type Tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// String counts the tools of p, such as "more than 50 tools".
func (p Page) String() string {
	switch {
	case p.Next != "":
		return fmt.Sprintf("more than %d tools", len(p.Tools))
	case len(p.Tools) == 1:
		return "1 tool"
	}
	return fmt.Sprintf("%d tools", len(p.Tools))
}

// ListTools returns one page of the tools.
func (s *Session) ListTools(ctx context.Context, cursor string) (Page, *callerror.Error) {
	raw, e := s.request(ctx, listMethod, func(ctx context.Context, client *sdk.ClientSession) error {
		_, err := client.ListTools(ctx, &sdk.ListToolsParams{Cursor: cursor})
		return err
	})
	if e != nil {
		return Page{}, e
	}
	var page Page
	if json.Unmarshal(raw, &page) != nil {
		return Page{}, callerror.Upstream("What the MCP server answered is not a list of tools.")
	}
	return page, nil
}

// CallTool calls a tool, and returns its structured content, else its one text, else its
// content as it is. There may be an answer beside an error.
func (s *Session) CallTool(ctx context.Context, name string, arguments map[string]any) ([]byte, *callerror.Error) {
	raw, e := s.request(ctx, callMethod, func(ctx context.Context, client *sdk.ClientSession) error {
		_, err := client.CallTool(ctx, &sdk.CallToolParams{Name: name, Arguments: arguments})
		return err
	})
	if e != nil {
		return nil, e
	}
	return s.readResult(raw)
}

// toolResult is the result of a tool, as far as it is read.
type toolResult struct {
	Content    []json.RawMessage `json:"content"`
	Structured json.RawMessage   `json:"structuredContent"`
	IsError    bool              `json:"isError"`
	Type       string            `json:"resultType"`
}

func (s *Session) readResult(raw json.RawMessage) ([]byte, *callerror.Error) {
	var result toolResult
	if json.Unmarshal(raw, &result) != nil {
		return nil, callerror.Upstream("What the MCP server answered is not the result of a tool.")
	}
	body := []byte(result.Structured)
	if len(body) == 0 || bytes.Equal(body, []byte("null")) {
		body = contentBody(result.Content)
	}
	switch {
	case result.Type == "input_required":
		return body, callerror.Upstream("The tool asks for more input while it runs, which is not offered here.")
	case result.IsError:
		reason := joinTexts(result.Content)
		if reason == "" {
			reason = string(body)
		}
		e := &callerror.Error{Code: domain.CallToolError, Sentence: "The tool failed without a reason."}
		if reason = strings.TrimSpace(reason); reason != "" {
			e.Sentence = "The tool failed: " + s.sentence(reason)
		}
		return body, e
	}
	return body, nil
}

func contentBody(content []json.RawMessage) []byte {
	switch {
	case len(content) == 0:
		return nil
	case len(content) == 1:
		if one, ok := textOf(content[0]); ok {
			return []byte(one)
		}
	}
	whole, _ := json.Marshal(content) // each has been read as JSON
	return whole
}

func joinTexts(content []json.RawMessage) string {
	var all []string
	for _, c := range content {
		if one, ok := textOf(c); ok {
			all = append(all, one)
		}
	}
	return strings.Join(all, "\n")
}

// textOf returns the text of a content of type text.
func textOf(content json.RawMessage) (string, bool) {
	var read struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &read) != nil || read.Type != "text" {
		return "", false
	}
	return read.Text, true
}
