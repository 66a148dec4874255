package transport_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/peers"
)

// sdkResult is the result of a client of test/peers.
type sdkResult struct {
	Version string   `json:"version"`
	Tools   []string `json:"tools"`
	Text    string   `json:"text"`
	IsError bool     `json:"is_error"`
}

func TestTheOfficialClientsListAndCallTheToolsOfAWorkspace(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	const (
		newest = "2026-07-28"
		before = "2025-11-25" // the newest with the initialize handshake
	)
	s := serve(t)
	s.slots(t, "clinic")
	key := s.issue("acme", access.Invoke)
	for _, row := range []struct {
		name      string
		run       func(t testing.TB, file string, options, result any)
		file      string
		mode      string
		negotiate string
	}{
		{"Python, as it comes", peers.RunPython, "mcp_client.py", "auto", newest},
		{"Python, pinned", peers.RunPython, "mcp_client.py", newest, newest},
		{"Python, with the handshake", peers.RunPython, "mcp_client.py", "legacy", before},
		{"TypeScript, newest first", peers.RunNode, "mcp_client.mjs", "auto", newest},
		{"TypeScript, pinned", peers.RunNode, "mcp_client.mjs", newest, newest},
		{"TypeScript, with the handshake", peers.RunNode, "mcp_client.mjs", "legacy", before},
		{"TypeScript 1", peers.RunNode, "mcp_client.mjs", "v1", before},
	} {
		t.Run(row.name, func(t *testing.T) {
			options := members{"url": s.url + "/v1/acme/mcp", "key": key, "mode": row.mode, "tool": "clinic__list_slots", "arguments": members{"day": "mon"}}
			var got sdkResult
			row.run(t, row.file, options, &got)
			require.Equal(t, sdkResult{
				Version: row.negotiate, Tools: []string{"clinic__list_slots"}, Text: `{"slots":["9:00","Bearer [secret]"]}`,
			}, got)
			options["arguments"] = members{"day": "x"}
			row.run(t, row.file, options, &got)
			require.True(t, got.IsError)
			require.Contains(t, got.Text, "/arguments/day")
		})
	}
}
