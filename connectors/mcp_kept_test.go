package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/domain"
)

// arrivals keeps the requests that a server got, as method and JSON-RPC method.
type arrivals struct {
	mu  sync.Mutex
	all []string
	ids map[string]bool // of JSON-RPC, by session
}

func (a *arrivals) note(t *testing.T, r *http.Request) {
	method, id := asking(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, strings.TrimSpace(r.Method+" "+method))
	if session := r.Header.Get("Mcp-Session-Id"); session != "" && id != nil {
		key := session + " " + string(id)
		if a.ids[key] {
			t.Errorf("the id %s is used twice in a session", id)
		}
		if a.ids == nil {
			a.ids = map[string]bool{}
		}
		a.ids[key] = true
	}
}

// taken returns the requests since it was last called.
func (a *arrivals) taken() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.all
	a.all = nil
	return taken
}

// counting is an MCP server whose tool "count" counts the calls of its session. A stateless
// one has one session for each request.
func counting(t *testing.T, stateless bool) (at string, got *arrivals, restart func()) {
	t.Helper()
	got = &arrivals{}
	var handler atomic.Pointer[sdk.StreamableHTTPHandler]
	restart = func() {
		var mu sync.Mutex
		counts := map[string]int{}
		server := sdk.NewServer(&sdk.Implementation{Name: "counting", Version: "1"}, nil)
		server.AddTool(&sdk.Tool{Name: "count", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			mu.Lock()
			defer mu.Unlock()
			counts[r.Session.ID()]++
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprint(counts[r.Session.ID()])}}}, nil
		})
		handler.Store(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{Stateless: stateless}))
	}
	restart()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.note(t, r)
		handler.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL + "/mcp", got, restart
}

// count is a call of "count" by an integration with a mode.
func count(at string, mode domain.MCPSession) domain.Call {
	c := tooling(domain.HTTP, at, "count", nil)
	c.Endpoint.InputSchema, c.Integration.MCPSession = json.RawMessage(`{"type":"object"}`), mode
	return c
}

const posted, ended = "POST tools/call", "DELETE"

func TestMCPACallAtAServerWithoutSessionsIsOneRequest(t *testing.T) {
	at, got, _ := counting(t, true)
	r := onLoopback(t)
	succeeds(t, r, count(at, domain.SessionAuto))
	require.Equal(t, []string{"POST server/discover", posted}, got.taken())
	for range 3 {
		succeeds(t, r, count(at, domain.SessionAuto))
	}
	require.Equal(t, []string{posted, posted, posted}, got.taken())
	succeeds(t, r, count(at, domain.SessionPerCall))
	require.Equal(t, []string{"POST server/discover", posted}, got.taken())
}

func TestMCPASessionIsKeptWhereTheIntegrationAsksForIt(t *testing.T) {
	at, got, restart := counting(t, false)
	r := onLoopback(t)
	for n := range 3 {
		require.Equal(t, fmt.Sprint(n+1), succeeds(t, r, count(at, domain.SessionKept)).FinalResult)
	}
	handshake := []string{"POST server/discover", "POST initialize", "POST notifications/initialized", posted}
	require.Equal(t, append(handshake, posted, posted), got.taken())

	restart() // the server no longer knows the session
	again := succeeds(t, r, count(at, domain.SessionKept))
	require.Equal(t, "1", again.FinalResult)
	require.Len(t, again.Attempts, 2)
	require.Equal(t, append([]string{posted}, handshake...), got.taken())
	require.Equal(t, "2", succeeds(t, r, count(at, domain.SessionKept)).FinalResult)
	require.Equal(t, []string{posted}, got.taken())

	r.Close()
	require.Eventually(t, func() bool { return slices.Contains(got.taken(), ended) }, time.Minute, time.Millisecond)
}

func TestMCPASessionThatHasStateIsNotSharedUnlessAskedFor(t *testing.T) {
	at, got, _ := counting(t, false)
	r := onLoopback(t)
	for range 2 {
		require.Equal(t, "1", succeeds(t, r, count(at, domain.SessionAuto)).FinalResult)
	}
	var last []string
	require.Eventually(t, func() bool {
		last = append(last, got.taken()...)
		return strings.Count(strings.Join(last, ","), ended) == 2
	}, time.Minute, time.Millisecond)
	last = slices.DeleteFunc(last, func(s string) bool { return s == ended })
	require.Equal(t, []string{
		"POST server/discover", "POST initialize", "POST notifications/initialized", posted,
		"POST initialize", "POST notifications/initialized", posted,
	}, last, "the version of the server is remembered")
}

func TestMCPASessionBelongsToOneVersionOneSubjectAndOneSetOfCredentials(t *testing.T) {
	at, _, _ := counting(t, false)
	r := onLoopback(t)
	own := count(at, domain.SessionKept)
	require.Equal(t, "1", succeeds(t, r, own).FinalResult)
	require.Equal(t, "2", succeeds(t, r, own).FinalResult)
	for name, change := range map[string]func(*domain.Call){
		"another subject":     func(c *domain.Call) { c.Subject = "ada" },
		"another workspace":   func(c *domain.Call) { c.Integration.Workspace = "other" },
		"another integration": func(c *domain.Call) { c.Integration.ID = "other" },
		"another URL":         func(c *domain.Call) { c.Integration.MCPURL += "?x=1" },
		"headers of its own":  func(c *domain.Call) { c.Endpoint.Headers = map[string]string{"X-A": "1"} },
		"another version":     func(c *domain.Call) { c.Integration.Version++ },
	} {
		other := own
		change(&other)
		require.Equal(t, "1", succeeds(t, r, other).FinalResult, name)
	}
}

func TestMCPCallsAtOnceDoNotShareASession(t *testing.T) {
	at, _, _ := counting(t, false)
	r := onLoopback(t)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() { _, _ = r.Call(t.Context(), count(at, domain.SessionKept)) })
	}
	all.Wait()
	m := r.connectors[domain.MCP].(mcpConnector)
	m.kept.mu.Lock()
	defer m.kept.mu.Unlock()
	for _, s := range m.kept.servers {
		require.LessOrEqual(t, len(s.idle), maxKeptOfOne)
	}
}

func TestMCPWhatIsKeptEndsWhenItIsIdleAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeptSessions(time.Now)
		i := domain.Integration{Workspace: "acme", ID: "1", Version: 1}
		k.put("one", i, keptSession{agreement: &mcp.Agreement{}})
		require.NotNil(t, k.take("one", time.Time{}).agreement)
		time.Sleep(agreementRemains)
		require.Nil(t, k.take("one", time.Time{}).agreement)
		time.Sleep(keptIdle)
		synctest.Wait() // the sweep is due at this instant
		require.Empty(t, k.servers)
		for n := range maxKept + 10 {
			i.ID = domain.ID(fmt.Sprint(n))
			k.put(fmt.Sprint(n), i, keptSession{agreement: &mcp.Agreement{}})
		}
		require.Len(t, k.servers, maxKept)
		i.Version++
		k.put("newer", i, keptSession{agreement: &mcp.Agreement{}})
		require.NotContains(t, k.servers, fmt.Sprint(maxKept+9), "the earlier version is gone")
		k.close()
		require.Empty(t, k.servers)
	})
}

func TestStdioAProgramIsUsedAgainByItsIntegrationOnly(t *testing.T) {
	inEachSandbox(t, ownProfile(t), func(t *testing.T, r *Registry) {
		own := startedBy("tools", "m", "count", "")
		own.Integration.Workspace, own.Integration.ID = "acme", "1"
		for n := range 3 {
			require.Equal(t, fmt.Sprint(n+1), succeeds(t, r, own).FinalResult)
		}
		other := own
		other.Integration.Workspace = "other"
		require.Equal(t, "1", succeeds(t, r, other).FinalResult)
		require.Equal(t, 2, r.programs.Running())
		failed := own
		failed.Endpoint.Name = "end"
		failsWith(t, r, failed, domain.CallUnreachable)
		require.Equal(t, "1", succeeds(t, r, own).FinalResult, "one that ended is started anew")
		own.Integration.MCPSession = domain.SessionPerCall
		require.Equal(t, "1", succeeds(t, r, own).FinalResult)
	})
}

func TestStdioAProgramThatNobodyUsesMakesRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	r := starting(t, ownProfile(t))
	r.programs.Max = 1
	for n := range 3 {
		c := startedBy("tools", "m", "count", "")
		c.Integration.ID = domain.ID(fmt.Sprint(n))
		require.Equal(t, "1", succeeds(t, r, c).FinalResult)
	}
	allEnded(t, r)
}

func TestMCPAToolThatAsksForItsStateAloneIsCalledAgain(t *testing.T) {
	rounds := 0
	at := answering(t, func(w http.ResponseWriter, r *http.Request, method string, id json.RawMessage) {
		var message struct {
			Params struct {
				RequestState string `json:"requestState"`
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&message)
		switch {
		case method == "server/discover":
			replies(w, id, `"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}`)
		case rounds < 2 && message.Params.RequestState == strings.Repeat("s", rounds):
			rounds++
			replies(w, id, fmt.Sprintf(`"result":{"resultType":"input_required","inputRequests":{},"requestState":%q}`, strings.Repeat("s", rounds)))
		default:
			replies(w, id, fmt.Sprintf(`"result":{"resultType":"complete","content":[{"type":"text","text":"after %d: %s"}]}`, rounds, message.Params.RequestState))
		}
	})
	require.Equal(t, "after 2: ss", succeeds(t, onLoopback(t), own(domain.HTTP, at)).FinalResult)
}

func TestMCPACallThatReachedNobodyIsMadeAgainAsTheEndpointAllows(t *testing.T) {
	server := sdk.NewServer(&sdk.Implementation{Name: "x", Version: "1"}, nil)
	server.AddTool(&sdk.Tool{Name: "count", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "1"}}}, nil
	})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{Stateless: true})
	at := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the next call has to dial
		handler.ServeHTTP(w, r)
	}))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.77:0") // an address that nobody else listens on afterwards
	require.NoError(t, err)
	require.NoError(t, at.Listener.Close())
	at.Listener = listener
	at.Start()
	r := onLoopback(t)
	hasten(r)
	c := count(at.URL, domain.SessionAuto)
	succeeds(t, r, c)
	at.Close()
	c.Endpoint.Retry.MaxRetries = 1
	for range 2 { // a call may still find a connection that the server has just closed, and one resumes what was agreed on
		call(t, r, c)
	}
	require.Len(t, failsWith(t, r, c, domain.CallUnreachable).Attempts, 2, "two to connect")
}
