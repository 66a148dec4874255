package authorizations_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// gate passes requests on to a token endpoint, while it is open.
type gate struct {
	mu     sync.Mutex
	open   chan struct{}
	passed int
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	g.passed++
	g.mu.Unlock()
	<-open
}

func (g *gate) asked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed
}

// before starts a server that passes requests on to target through g.
func (g *gate) before(t *testing.T, target string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.pass()
		sent, err := http.NewRequestWithContext(r.Context(), r.Method, target, bytes.NewReader(body))
		if err != nil {
			return
		}
		sent.Header = r.Header
		resp, err := http.DefaultClient.Do(sent)
		if err != nil {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// callsAtOnce makes 200 calls at once, and returns what each came to.
func (p process) callsAtOnce(r *connectors.Registry) <-chan domain.CallResult {
	i := p.use.Integration
	results := make(chan domain.CallResult, 200)
	for range cap(results) {
		go func() {
			for {
				result, err := r.Call(p.t.Context(), domain.Call{Integration: i, Endpoint: domain.Endpoint{Name: "get", Method: "GET", Path: "/"}, Keyring: p.keyring})
				switch {
				case err != nil:
					result.Error = err.Error()
				case strings.Contains(result.Error, "64 calls of this workspace"): // a busy machine: nothing was sent
					continue
				}
				results <- result
				return
			}
		}()
	}
	return results
}

func TestTwoHundredCallsAtAnExpiredTokenOfAPersonMakeOneRequest(t *testing.T) {
	t.Parallel()
	as, g := authservertest.New(t), &gate{open: make(chan struct{})}
	p := processes(t, as, 1, map[string]any{"token_url": g.before(t, as.URL+"/token")})[0]
	r, err := connectors.New(connectors.Config{AllowLoopback: true})
	require.NoError(t, err)
	close(g.open)
	p.signIn()
	first := p.good()
	all := func(results <-chan domain.CallResult) {
		t.Helper()
		for range cap(results) {
			result := <-results
			require.Empty(t, result.Error)
			require.Len(t, result.Attempts, 1, "no call was refused")
		}
	}

	g.close()
	p.pass(58 * time.Minute) // it lasts two minutes more, and is renewed by then
	all(p.callsAtOnce(r))    // none waits: the token endpoint does not answer
	require.Eventually(t, func() bool { return g.asked() == 2 }, time.Minute, time.Millisecond)
	close(g.open)
	require.Eventually(t, func() bool { return p.good() != first }, time.Minute, time.Millisecond)
	require.Equal(t, 1, as.Seen().Refreshes)

	g.close()
	p.pass(2 * time.Hour) // it has expired
	results := p.callsAtOnce(r)
	require.Eventually(t, func() bool { return g.asked() == 3 }, time.Minute, time.Millisecond)
	require.Empty(t, results, "each waits for the token")
	close(g.open)
	all(results)
	require.Equal(t, 3, g.asked())
	require.Equal(t, authservertest.Counts{Codes: 1, Refreshes: 2, Calls: 400}, as.Seen())
}
