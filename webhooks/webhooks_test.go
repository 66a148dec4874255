package webhooks_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/webhooks"
)

// site is a service with webhooks. A test may start several on one server.
type site struct {
	*testing.T
	nc      *nats.Conn
	events  *eventstore.Store
	hooks   *webhooks.Webhooks
	outside *connectors.Registry
	log     *written
	later   *atomic.Int64 // how far the clock is ahead
	stop    func()

	last map[domain.ID]domain.Integration
	at   map[domain.ID]uint64
}

// start starts a site on a NATS server of its own.
func start(t *testing.T) *site {
	t.Helper()
	return startOn(t, natstest.Connect(t), &written{}, new(atomic.Int64), nil)
}

// startReplicated starts a site on a cluster.
func startReplicated(t *testing.T, nc *nats.Conn, replicas int) *site {
	t.Helper()
	return startWith(t, nc, &written{}, new(atomic.Int64), replicas, nil)
}

func startOn(t *testing.T, nc *nats.Conn, log *written, later *atomic.Int64, adjust func(*webhooks.Config)) *site {
	t.Helper()
	return startWith(t, nc, log, later, 1, adjust)
}

func startWith(t *testing.T, nc *nats.Conn, log *written, later *atomic.Int64, replicas int, adjust func(*webhooks.Config)) *site {
	t.Helper()
	s := &site{T: t, nc: nc, log: log, later: later, last: map[domain.ID]domain.Integration{}, at: map[domain.ID]uint64{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var err error
	s.events, err = eventstore.Open(ctx, nc, eventstore.Config{AllowLazySync: true, Replicas: replicas})
	require.NoError(t, err)
	s.outside, err = connectors.New(connectors.Config{AllowLoopback: true})
	require.NoError(t, err)
	config := webhooks.Config{
		Events: s.events, Key: bytes.Repeat([]byte("k"), 32), Send: s.outside.Send, First: time.Millisecond, Longest: 3 * time.Millisecond,
		Show: func(c eventstore.Commit) ([]byte, error) {
			return json.Marshal(map[string]any{"position": c.Position, "integration_id": c.ID})
		},
		NewID: rand.Text, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())).UTC() },
		Replicas: replicas, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if adjust != nil {
		adjust(&config)
	}
	s.hooks, err = webhooks.Open(ctx, nc, config)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.hooks.Run(ctx) }()
	s.stop = sync.OnceFunc(func() { cancel(); assert.NoError(t, <-ended) })
	t.Cleanup(s.stop)
	return s
}

// change records a change of an integration, and returns its position.
func (s *site) change(w domain.Workspace, name string) uint64 {
	s.Helper()
	id := domain.NewID(w, name)
	i := s.last[id]
	if i.Version == 0 {
		i = domain.Integration{ID: id, Workspace: w, Incarnation: 1, Name: name, Configuration: domain.Configuration{DisplayName: name}}
	}
	i.Version++
	var e domain.Event = domain.IntegrationUpdated{Integration: i, Changed: []string{"/display_name"}}
	if i.Version == 1 {
		e = domain.IntegrationCreated{Integration: i}
	}
	at, err := s.events.Append(s.Context(), w, id, s.at[id], e, domain.Metadata{CommandID: rand.Text(), At: time.Now().UTC(), Actor: "key-1"})
	require.NoError(s, err)
	s.last[id], s.at[id] = i, at
	return at
}

// probe records a probe of an integration that followed another.
func (s *site) probe(w domain.Workspace, name string, previous, status domain.ProbeStatus) {
	s.Helper()
	p := domain.IntegrationProbed{
		ID: domain.NewID(w, name), Workspace: w, Incarnation: 1, Previous: previous, Probe: domain.Probe{Status: status, HTTPStatus: 503, Message: "Down.", At: time.Now().UTC()},
	}
	page, _, err := s.events.ProbePage(s.Context(), eventstore.Selection{Workspace: w, ID: p.ID}, 0, 100)
	require.NoError(s, err)
	last := uint64(0)
	if len(page) > 0 {
		last = page[len(page)-1].Position
	}
	_, err = s.events.RecordProbe(s.Context(), last, p, domain.Metadata{CommandID: rand.Text(), At: time.Now().UTC()})
	require.NoError(s, err)
}

// destination makes a destination in acme and returns it with its secret.
func (s *site) destination(url string, more ...any) (domain.WebhookDestination, string) {
	s.Helper()
	doc := domain.Document{"url": url}
	if len(more) > 0 {
		doc["event_types"] = more
	}
	d, secret, err := s.hooks.Create(s.Context(), "acme", doc)
	require.NoError(s, err)
	return d, secret.Reveal()
}

func (s *site) deliveries(d domain.WebhookDestination, status webhooks.Status) []webhooks.Delivery {
	s.Helper()
	all, _, err := s.hooks.Deliveries(s.Context(), d.Workspace, d.ID, status, 0, 1000)
	require.NoError(s, err)
	return all
}

func (s *site) eventually(what string, is func() bool) {
	s.Helper()
	require.Eventually(s, is, time.Minute, 2*time.Millisecond, what)
}

// nothingPending waits until all is delivered or dead.
func (s *site) nothingPending() {
	s.Helper()
	s.eventually("nothing is pending", func() bool {
		count, _, err := s.hooks.Pending(s.Context())
		return err == nil && count == 0
	})
}

// received is a webhook as it was received.
type received struct {
	header http.Header
	body   []byte
	Type   string
	Data   struct {
		Position      uint64
		IntegrationID domain.ID `json:"integration_id"`
	}
}

// receiver is the server of a destination. What it answered with 2xx is in got.
type receiver struct {
	url     string
	address string
	mu      sync.Mutex
	got     []received
	asked   int
	busy    int
	busiest int
	answer  func(w http.ResponseWriter, r received) int // 0: 204
	srv     *httptest.Server
}

func listen(t *testing.T, answer func(http.ResponseWriter, received) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.open(t, "127.0.0.1:0")
	return r
}

// open listens on an address until the test ends or close is called.
func (r *receiver) open(t *testing.T, address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	r.srv = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	require.NoError(t, r.srv.Listener.Close())
	r.srv.Listener = l
	r.srv.Start()
	t.Cleanup(r.srv.Close)
	r.url, r.address = r.srv.URL+"/hook", l.Addr().String()
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	got := received{header: req.Header, body: body}
	if err != nil || json.Unmarshal(body, &got) != nil {
		return
	}
	r.mu.Lock()
	r.asked++
	r.busy++
	r.busiest = max(r.busiest, r.busy)
	answer := r.answer
	r.mu.Unlock()
	status := 0
	if answer != nil {
		status = answer(w, got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	if status == 0 {
		status = http.StatusNoContent
	}
	if status < 300 {
		r.got = append(r.got, got)
	}
	w.WriteHeader(status)
}

func (r *receiver) set(answer func(http.ResponseWriter, received) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// positions returns the positions received of each integration, in order.
func (r *receiver) positions() map[domain.ID][]uint64 {
	all := map[domain.ID][]uint64{}
	for _, g := range r.all() {
		all[g.Data.IntegrationID] = append(all[g.Data.IntegrationID], g.Data.Position)
	}
	return all
}

func status(code int) func(http.ResponseWriter, received) int {
	return func(http.ResponseWriter, received) int { return code }
}

// signedBy reports whether the library that receivers use takes a webhook for
// one that a secret signed.
func (g received) signedBy(t *testing.T, secret string) bool {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return hook.VerifyIgnoringTimestamp(g.body, g.header) == nil
}

// written keeps what was logged.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *written) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *written) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("crm-", i)
	}
	return all
}
