package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Result is the result of a tool. There may be one beside an error.
type Result struct {
	Body  []byte // its structured content, else its one text, else its content as it is
	Whole []byte // all of it, as JSON; nil when Body is all there is
}

// maxRounds is how often a tool is called again because its server asks for that alone.
const maxRounds = 10

// CallTool calls a tool: again, with its state, where the server asks for nothing else
// (SEP-2322).
func (s *Session) CallTool(ctx context.Context, name string, arguments map[string]any) (Result, *callerror.Error) {
	state := ""
	for range maxRounds {
		raw, e := s.request(ctx, callMethod, func(ctx context.Context, client *sdk.ClientSession) error {
			_, err := client.CallTool(ctx, &sdk.CallToolParams{Meta: s.server.meta(), Name: name, Arguments: arguments, RequestState: state})
			return err
		})
		if e != nil {
			return Result{}, e
		}
		if state = roundState(raw); state == "" {
			return s.readResult(raw)
		}
	}
	return Result{}, callerror.Upstream("The tool asked to be called again more than %d times.", maxRounds-1)
}

// roundState returns the state with which a request is to be made again, "" where it is not,
// or where that takes more than the state.
func roundState(raw json.RawMessage) string {
	var result struct {
		Type     string                     `json:"resultType"`
		Requests map[string]json.RawMessage `json:"inputRequests"`
		State    string                     `json:"requestState"`
	}
	if json.Unmarshal(raw, &result) != nil || result.Type != "input_required" || len(result.Requests) > 0 {
		return ""
	}
	return result.State
}

// toolResult is the result of a tool, as far as it is read.
type toolResult struct {
	Content    []json.RawMessage `json:"content"`
	Structured json.RawMessage   `json:"structuredContent"`
	IsError    bool              `json:"isError"`
	Type       string            `json:"resultType"`
}

func (s *Session) readResult(raw json.RawMessage) (Result, *callerror.Error) {
	var result toolResult
	if json.Unmarshal(raw, &result) != nil {
		return Result{}, callerror.Upstream("What the MCP server answered is not the result of a tool.")
	}
	got := Result{Body: []byte(result.Structured), Whole: raw}
	if len(got.Body) == 0 || bytes.Equal(got.Body, []byte("null")) {
		if got.Body = contentBody(result.Content); !result.IsError && isBareText(result.Content) {
			got.Whole = nil
		}
	}
	switch {
	case result.Type == "input_required":
		return Result{Body: got.Body}, callerror.Upstream("The tool asks for more input while it runs, which is not offered here.")
	case result.IsError:
		reason := joinTexts(result.Content)
		if reason == "" {
			reason = string(got.Body)
		}
		e := &callerror.Error{Code: domain.CallToolError, Sentence: "The tool failed without a reason."}
		if reason = strings.TrimSpace(reason); reason != "" {
			e.Sentence = "The tool failed: " + s.sentence(reason)
		} else {
			got.Whole = nil
		}
		return got, e
	}
	return got, nil
}

// isBareText reports whether content is nothing, or one text without annotations.
func isBareText(content []json.RawMessage) bool {
	if len(content) == 0 {
		return true
	}
	var members map[string]json.RawMessage
	_, isText := textOf(content[0])
	return len(content) == 1 && isText && json.Unmarshal(content[0], &members) == nil && len(members) == 2
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
