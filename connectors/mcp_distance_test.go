package connectors

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/faultproxy"
)

// TestMCPDistance measures what a call costs at a server that is far away, beside a call by a
// client of the SDK that stays connected. TestMCPACallAtAServerWithoutSessionsIsOneRequest and its
// neighbour hold what makes the difference.
func TestMCPDistance(t *testing.T) {
	if os.Getenv("MCP_DISTANCE") == "" {
		t.Skip("NOT MEASURED: set MCP_DISTANCE=1")
	}
	const delay, rounds = 25, 31 // ms each way
	for name, stateless := range map[string]bool{"stateless": true, "with sessions": false} {
		at, _, _ := counting(t, stateless)
		address := strings.TrimSuffix(strings.TrimPrefix(at, "http://"), "/mcp")
		proxy := faultproxy.New(t, address)
		proxy.Delay(faultproxy.Upstream, delay)
		proxy.Delay(faultproxy.Downstream, delay)
		far := "http://" + proxy.Listen + "/mcp"
		client := sdk.NewClient(&sdk.Implementation{Name: "direct", Version: "1"}, nil)
		session, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: far, HTTPClient: http.DefaultClient, DisableStandaloneSSE: true}, nil)
		require.NoError(t, err)
		direct := median(rounds, func() {
			_, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "count", Arguments: json.RawMessage(`{}`)})
			require.NoError(t, err)
		})
		for _, mode := range []domain.MCPSession{domain.SessionPerCall, domain.SessionAuto, domain.SessionKept} {
			r := onLoopback(t)
			succeeds(t, r, count(far, mode))
			ours := median(rounds, func() { succeeds(t, r, count(far, mode)) })
			t.Logf("%s, mcp_session %q: %.1f ms, direct %.1f ms: %.2f x", name, mode, ms(ours), ms(direct), float64(ours)/float64(direct))
		}
		_ = session.Close()
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(rounds int, do func()) time.Duration {
	var all []time.Duration
	for range rounds {
		start := time.Now()
		do()
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
