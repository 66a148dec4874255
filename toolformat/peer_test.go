package toolformat_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/toolformat"
)

func TestTheProvidersOwnTypesTakeEveryTool(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	tool := rapid.Custom(generated)
	tools := map[string][]any{}
	for n := range 300 {
		one := tool.Example(n)
		for name, o := range map[string]toolformat.Options{
			"openai": {Format: toolformat.OpenAI}, "strict": {Format: toolformat.OpenAI, Strict: true}, "anthropic": {Format: toolformat.Anthropic},
			"gemini": {Format: toolformat.Gemini}, "mcp": {Format: toolformat.MCP},
		} {
			if definition, err := toolformat.Render(one, o); err == nil {
				tools[name] = append(tools[name], definition)
			}
		}
	}
	annotated := toolOf(`{}`, func(e *domain.Endpoint) { e.Method, e.Annotations = "PUT", &domain.Annotations{OpenWorld: new(true)} })
	definition, err := toolformat.Render(annotated, toolformat.Options{Format: toolformat.MCP})
	require.NoError(t, err)
	tools["mcp"] = append(tools["mcp"], definition)

	written, err := json.Marshal(tools)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "tools.json")
	require.NoError(t, os.WriteFile(file, written, 0o600))
	var got struct {
		Checked  map[string]int `json:"checked"`
		Problems []string       `json:"problems"`
	}
	peers.RunPython(t, "tools.py", map[string]string{"file": file}, &got)
	require.Empty(t, got.Problems)
	for name := range tools {
		require.Equal(t, len(tools[name]), got.Checked[name], name)
	}
	t.Log(got.Checked)
}
