package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// receiver receives webhooks, and can be away.
type receiver struct {
	t        *testing.T
	address  string
	srv      *http.Server
	mu       sync.Mutex
	secret   string
	ids      []string
	received map[string][]int // versions of each integration, in the order they came
}

func (r *receiver) open() {
	r.t.Helper()
	if r.address == "" {
		r.address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", r.address)
	require.NoError(r.t, err)
	r.address, r.srv = l.Addr().String(), &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	go func() { _ = r.srv.Serve(l) }()
	r.t.Cleanup(func() { _ = r.srv.Close() })
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var event struct {
		Data struct {
			Name    string
			Version int
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	hook, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil || hook.Verify(body, req.Header) != nil || json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.ids = append(r.ids, req.Header.Get("webhook-id"))
	r.received[event.Data.Name] = append(r.received[event.Data.Name], event.Data.Version)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ids)
}

// RECEIVER_DOWN_FOR=1m go test -v -run OnItsFeet ./cmd/integrations makes it a
// longer outage.
func TestAReceiverThatIsBackOnItsFeetGetsEverythingOnceAndInOrderThoughTheServiceWasKilled(t *testing.T) {
	slow(t)
	downFor := time.Second
	if text := os.Getenv("RECEIVER_DOWN_FOR"); text != "" {
		var err error
		downFor, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	register := func() (*receiver, string) {
		r := &receiver{t: t, received: map[string][]int{}}
		r.open()
		var made struct{ ID, Secret string }
		require.NoError(t, json.Unmarshal([]byte(p.must(http.StatusCreated, http.MethodPost, hooks, `{"url": "http://`+r.address+`/", "event_types": ["integration.*"]}`)), &made))
		r.secret = made.Secret
		return r, hooks + "/" + made.ID
	}
	down, path := register()
	up, _ := register()
	require.NoError(t, down.srv.Close())
	t.Logf("one receiver refuses connections for %s, another is up", downFor)

	want, sent := map[string][]int{}, 0
	change := func() {
		name := fmt.Sprint("crm-", sent%4)
		want[name] = append(want[name], len(want[name])+1)
		if sent++; sent <= 4 {
			p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
			return
		}
		p.must(http.StatusOK, http.MethodPut, all+"/"+name, fmt.Sprintf(`{"display_name": "%d"}`, sent))
	}
	began := time.Now()
	for killed := false; time.Since(began) < downFor; change() {
		if !killed && time.Since(began) > downFor/2 {
			require.Eventually(t, func() bool { // what is delivered is off the list as well
				return strings.Contains(p.metrics(), fmt.Sprintf("\nintegrations_webhook_attempts_total{status=\"delivered\"} %d\n", sent))
			}, time.Minute, time.Millisecond)
			p.kill()
			p = startProcess(t, data, "--probe-interval=0s")
			killed = true
			t.Logf("after %s and %d changes: killed and started again; %d were delivered to the receiver that is up", time.Since(began).Round(time.Millisecond), sent, up.count())
		}
		if downFor > 10*time.Second {
			<-time.After(100 * time.Millisecond) // some 10 changes a second
		}
	}
	require.Zero(t, down.count())
	log := p.must(http.StatusOK, http.MethodGet, path+"/deliveries?status=failed&limit=200", "")
	t.Logf("after %s: %d changes were made; at least %d attempts were refused", time.Since(began).Round(time.Millisecond), sent, strings.Count(log, `"status":"failed"`))
	require.Contains(t, log, `"code":"unreachable"`)

	down.open()
	back := time.Now()
	require.Eventually(t, func() bool { return down.count() >= sent && up.count() >= sent }, 2*downFor+20*time.Second, time.Millisecond)
	t.Logf("%s after it was back, it had %d webhooks, every one verified by the library", time.Since(back).Round(time.Millisecond), down.count())
	require.Equal(t, want, down.received)
	require.Equal(t, want, up.received)
	slices.Sort(down.ids)
	require.Len(t, slices.Compact(down.ids), sent)
	require.Eventually(t, func() bool {
		return strings.Contains(p.metrics(), "\nintegrations_webhooks_pending 0\n")
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, sent, down.count())
	t.Logf("each once, those of each integration in order: %d integrations, versions 1 to %d; nothing is pending", len(want), len(want["crm-0"]))
}

const hooks = "/v1/acme/webhook-destinations"

// metrics returns what the service measures.
func (p *process) metrics() string {
	resp, err := http.Get(p.url + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}
