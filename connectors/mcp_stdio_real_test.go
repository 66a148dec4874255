package connectors

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

func TestStdioAServerOfAVirtualEnvironmentIsCalledByItsPathAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	python := peers.Python(t)
	script := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(python))), "mcp_server.py")
	profile := Profile{Name: "own", Executable: python, Arguments: []string{script}, Read: []string{script}}
	inEachSandbox(t, profile, func(t *testing.T, r *Registry) {
		c := startedBy("", "", "add", "")
		c.Integration.MCPArgs, c.Params = nil, map[string]any{"a": 2, "b": 40}
		c.Endpoint.TimeoutMS = 60_000 // Python reads hundreds of files before it answers
		require.Equal(t, `{"result":42}`, succeeds(t, r, c).FinalResult)
		require.Equal(t, `{"result":42}`, succeeds(t, r, c).FinalResult, "the same process again")
		require.Equal(t, 1, r.programs.Running())
	})
}

// TestStdioServersOfAFolder probes each program of a folder, such as the bin of a virtual
// environment with MCP servers of others, in each sandbox.
func TestStdioServersOfAFolder(t *testing.T) {
	folder := os.Getenv("MCP_SERVERS")
	if folder == "" {
		t.Skip("NOT TESTED: set MCP_SERVERS to a folder of MCP servers")
	}
	programs, err := filepath.Glob(filepath.Join(folder, "*mcp*server*"))
	require.NoError(t, err)
	require.NotEmpty(t, programs)
	for _, program := range programs {
		t.Run(filepath.Base(program), func(t *testing.T) {
			profile := Profile{Name: "own", Executable: program, Network: true, Environment: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"}, Limits: ProfileLimits{MemoryMB: 2048, CPUSeconds: 120}}
			inEachSandbox(t, profile, func(t *testing.T, r *Registry) {
				c := startedBy("", "", "", "")
				c.Integration.MCPArgs = nil
				p := r.Probe(t.Context(), c.Integration, nil)
				require.Equal(t, domain.Healthy, p.Status, p.Message)
				t.Log(p.Message)
			})
		})
	}
}
