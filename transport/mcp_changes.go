package transport

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// mcpChanges calls changed when what the request can list may have changed, until it returns
// false, the key may no longer list, or the request ends. Idle is called now and then in between.
func (s *Server) mcpChanges(r *request, changed, idle func() bool) error {
	known, checked := s.accessChanges(), s.Now()
	for note, err := range s.Live.Listen(r, r.workspace, nil) {
		if err != nil {
			return err
		}
		if changes, now := s.accessChanges(), s.Now(); changes != known || now.Sub(checked) >= recheckEvery {
			if !s.stillMay(r, access.Invoke) {
				return nil
			}
			known, checked = changes, now
		}
		next := idle
		if seen := s.Live.Seen(note, r.key.Scope); seen.Event != nil {
			next = changed
		}
		if !next() {
			return nil
		}
	}
	return nil
}

// mcpNotify notifies a client that listens by subscriptions/listen (2026-07-28). The SDK sends
// what it notices: something was added to each list.
func (s *Server) mcpNotify(r *mcpRequest, server *mcp.Server) {
	defer r.end()
	n := 0
	_ = s.mcpChanges(r.request, func() bool {
		n++
		name := fmt.Sprintf("change-%d", n%2)
		server.RemoveTools(fmt.Sprintf("change-%d", (n+1)%2))
		server.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object"}}, s.mcpCallTool)
		server.AddPrompt(&mcp.Prompt{Name: name}, s.mcpGetPrompt)
		server.AddResource(&mcp.Resource{Name: name, URI: domain.ResourceURI(name, name)}, s.mcpReadResource)
		return true
	}, func() bool { return true })
}

// notifyMCP notifies a client that listens by GET (2025-11-25 and before).
func (s *Server) notifyMCP(r *request) (answer, error) {
	if err := r.actFor(); err != nil {
		return answer{}, err
	}
	view, err := r.mcpView()
	if err != nil {
		return answer{}, err
	}
	if view.integrations != nil { // so that a wrong name is an error of the URL
		if _, err := s.Read.ToolsOf(r, r.workspace, view.integrations); err != nil {
			return answer{}, err
		}
	}
	if r.Request.Method == http.MethodHead {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "text/event-stream"}}, nil
	}
	if !strings.Contains(r.GetHeader("Accept"), "text/event-stream") {
		return answer{}, domain.Errorf(domain.Invalid, "mcp_request_invalid", "Accept must have text/event-stream: notifications are sent as server-sent events; requests of MCP take POST")
	}
	out := s.newStream(r, "text/event-stream")
	if out.flush() != nil {
		return answer{done: true}, nil
	}
	send := func(text string) bool {
		if _, err := out.Write([]byte(text)); err != nil {
			return false
		}
		return out.flush() == nil
	}
	err = s.mcpChanges(r, func() bool {
		for _, list := range []string{"tools", "resources", "prompts"} {
			message, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": "notifications/" + list + "/list_changed"})
			if err != nil || !send("event: message\ndata: "+string(message)+"\n\n") {
				return false
			}
		}
		return true
	}, func() bool { return send(": nothing new\n\n") })
	if err != nil {
		return s.streamEnded(r, &out, err)
	}
	return answer{done: true}, nil
}
