package mcp

import (
	"context"
	"encoding/json"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// Offers reports whether the server has what a method is about, by its capabilities.
func (s *Session) Offers(method domain.MCPMethod) bool {
	has := s.client.InitializeResult().Capabilities
	if has == nil {
		return false
	}
	switch method {
	case domain.ListResources, domain.ListResourceTemplates, domain.ReadResource:
		return has.Resources != nil
	case domain.ListPrompts, domain.GetPrompt:
		return has.Prompts != nil
	case domain.CompleteArgument:
		return has.Completions != nil
	}
	return false
}

// Query makes a request other than the call of a tool, and returns its result as the server
// wrote it. Of a list it returns the page at cursor.
func (s *Session) Query(ctx context.Context, method domain.MCPMethod, params domain.Document, cursor string) (json.RawMessage, *callerror.Error) {
	text := func(name string) string { t, _ := params[name].(string); return t }
	state := ""
	for range maxRounds {
		raw, e := s.request(ctx, string(method), func(ctx context.Context, client *sdk.ClientSession) (err error) {
			switch method {
			case domain.ListResources:
				_, err = client.ListResources(ctx, &sdk.ListResourcesParams{Cursor: cursor})
			case domain.ListResourceTemplates:
				_, err = client.ListResourceTemplates(ctx, &sdk.ListResourceTemplatesParams{Cursor: cursor})
			case domain.ReadResource:
				_, err = client.ReadResource(ctx, &sdk.ReadResourceParams{Meta: s.server.meta(), URI: text("uri"), RequestState: state})
			case domain.ListPrompts:
				_, err = client.ListPrompts(ctx, &sdk.ListPromptsParams{Cursor: cursor})
			case domain.GetPrompt:
				arguments := map[string]string{}
				given, _ := params["arguments"].(map[string]any)
				for name, value := range given {
					arguments[name] = fmt.Sprint(value)
				}
				_, err = client.GetPrompt(ctx, &sdk.GetPromptParams{Meta: s.server.meta(), Name: text("name"), Arguments: arguments, RequestState: state})
			case domain.CompleteArgument:
				var complete sdk.CompleteParams
				written, failed := json.Marshal(params)
				if failed == nil {
					failed = json.Unmarshal(written, &complete)
				}
				if failed != nil {
					return failed
				}
				_, err = client.Complete(ctx, &complete)
			}
			return err
		})
		if e != nil {
			return nil, e
		}
		if state = roundState(raw); state == "" {
			if needsMore(raw) {
				return nil, callerror.Upstream("The MCP server asks for more input, which is not offered here.")
			}
			return raw, nil
		}
	}
	return nil, callerror.Upstream("The MCP server asked for the same request more than %d times.", maxRounds-1)
}

func needsMore(raw json.RawMessage) bool {
	var result struct {
		Type string `json:"resultType"`
	}
	return json.Unmarshal(raw, &result) == nil && result.Type == "input_required"
}

// Refusal returns the code of JSON-RPC that the last request was refused with, 0 where it was
// not.
func (s *Session) Refusal() int {
	_, refused := s.recorder.lastRequest()
	if answer := rpcError(refused); answer != nil {
		return int(answer.Code)
	}
	return 0
}
