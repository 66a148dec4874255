package connectors

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

// everything starts the reference server of the MCP project.
func everything(t *testing.T, transport domain.MCPTransport) string {
	t.Helper()
	mode, path := "streamableHttp", "/mcp"
	if transport == domain.SSE {
		mode, path = "sse", "/sse"
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(address)
	dir := peers.Dir(t)
	cmd := exec.CommandContext(t.Context(), peers.Node(t), filepath.Join("node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js"), mode)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return "http://" + address + path
		}
	}
	t.Fatalf("server-everything did not listen on %s", address)
	return ""
}

func TestMCPTheReferenceServerIsCalled(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		r, at := onLoopback(t), everything(t, transport)
		p := r.Probe(t.Context(), tooling(transport, at, "", nil).Integration, nil)
		if p.Status != domain.Healthy || !strings.Contains(p.Message, "speaks MCP 20") || !strings.Contains(p.Message, "tools") {
			t.Errorf("the probe came to %+v", p)
		}
		if got := succeeds(t, r, tooling(transport, at, "echo", map[string]any{"message": "hello"})); got.FinalResult != "Echo: hello" {
			t.Errorf("got %+v", got)
		}
		sum := map[string]any{"a": json.Number("2"), "b": json.Number("40.5")}
		if got := succeeds(t, r, tooling(transport, at, "get-sum", sum)); got.FinalResult != "The sum of 2 and 40.5 is 42.5." {
			t.Errorf("got %+v", got)
		}
		if got := succeeds(t, r, tooling(transport, at, "get-structured-content", map[string]any{"location": "Chicago"})); !strings.Contains(asJSON(t, got.RawResponse), `"conditions"`) {
			t.Errorf("got %+v", got)
		}
		if _, err := r.Call(t.Context(), tooling(transport, at, "get-sum", map[string]any{"a": "two"})); domain.KindOf(err) != domain.Invalid {
			t.Errorf("wrong arguments came to %v", err)
		}
		if got := failsWith(t, r, tooling(transport, at, "no-such-tool", nil), domain.CallMisconfigured); !strings.Contains(got.Error, "get-sum") {
			t.Errorf("got %s", got.Error)
		}
		fails := tooling(transport, at, "get-sum", map[string]any{"a": "two"}) // which the server refuses in the words of a tool
		fails.Endpoint.InputSchema = json.RawMessage(`{"type":"object"}`)
		if got := failsWith(t, r, fails, domain.CallToolError); !strings.Contains(got.Error, "get-sum") {
			t.Errorf("got %s", got.Error)
		}
		found, err := r.Discover(t.Context(), tooling(transport, at, "", nil).Integration, nil, domain.Description{})
		if err != nil || found.Error != "" || found.Truncated || found.Source != "tools/list" || !slices.ContainsFunc(found.Offers, func(o domain.Offer) bool {
			return o.Name == "echo" && o.Description != "" && strings.Contains(string(o.InputSchema), "message")
		}) {
			t.Errorf("discovery came to %+v, %v", found, err)
		}
		slow := tooling(transport, at, "trigger-long-running-operation", map[string]any{"duration": json.Number("30"), "steps": json.Number("3")})
		hurried(t, &slow.Endpoint)
		failsWith(t, r, slow, domain.CallTimeout)
	})
}
