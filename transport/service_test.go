package transport_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	_ "time/tzdata" // not every machine has it

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/usage"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/webhooks"
)

func TestMain(m *testing.M) {
	sandbox.Become()
	if len(os.Args) == 2 && os.Args[1] == asServer {
		serveStdio()
		syscall.Exit(0) // the race detector would stay for a second
	}
	if err := goElsewhere(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// goElsewhere restarts the tests in another time zone: responses are in UTC wherever the
// service runs. The zone of a running process can't be changed without a race.
func goElsewhere() error {
	const elsewhere = "Asia/Kolkata"
	if os.Getenv("TZ") == elsewhere {
		if _, ahead := time.Now().Zone(); ahead == 0 {
			return errors.New("the time zone of " + elsewhere + " is not known")
		}
		return nil
	}
	program, err := os.Executable()
	if err := errors.Join(err, os.Setenv("TZ", elsewhere)); err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

// A service is the whole service in this process, without mocks.
type service struct {
	t      *testing.T
	url    string
	key    string // of the workspace acme, for everything
	stores *stores
	api    *transport.Server
	hooks  *webhooks.Webhooks
	log    *logged
}

type stores struct {
	keys      *access.Keys
	events    *eventstore.Store
	read      projections.Store
	projector *projections.Projector
}

// settings are the options of a test.
type settings struct {
	nats         *nats.Conn
	noLoopback   bool
	healthWithin time.Duration
	adjust       func(*transport.Server)
	noProjector  bool
	builtins     domain.BuiltinSettings
	operatorKeys map[string]domain.Secret
	profiles     []connectors.Profile
	now          func() time.Time
	returnOrigin string
	proofs       bool // the trees of the logs, and the record of accesses
}

// proven has the trees of the logs, and the record of accesses.
func proven(set *settings) { set.proofs = true }

// openProofs opens what proven asks for, and returns what runs.
func openProofs(t *testing.T, ctx context.Context, nc *nats.Conn, api *transport.Server, secrets *vault.Vault) []func(context.Context) error {
	t.Helper()
	var err error
	api.Accesses, err = accesslog.Open(ctx, nc, 1, api.Now, rand.Text, api.Log)
	require.NoError(t, err)
	api.Accesses.Persons, err = persons.New(secrets)
	require.NoError(t, err)
	seed, err := secrets.DeriveKey("checkpoints")
	require.NoError(t, err)
	signing, err := transparency.NewKey(seed)
	require.NoError(t, err)
	grown, err := trees.Open(ctx, nc, 1)
	require.NoError(t, err)
	events := api.Audit.Events
	api.Proofs = &trees.Reader{Events: events, Trees: grown, Key: signing, Streams: map[transparency.Log]string{
		transparency.Integrations: eventstore.StreamOfIntegrations, transparency.Approvals: eventstore.StreamOfApprovals,
		transparency.Calls: eventstore.StreamOfCalls, transparency.Access: accesslog.Stream,
	}}
	follower := &trees.Follower{Events: events, Trees: grown, Streams: api.Proofs.Streams, Key: signing, Log: api.Log}
	return []func(context.Context) error{api.Accesses.Run, follower.Run}
}

// serve starts a service that stops with the test.
func serve(t *testing.T, with ...func(*settings)) *service {
	t.Helper()
	set := settings{healthWithin: 25 * time.Second, builtins: domain.BuiltinSettings{
		GeocodeURL: "https://geocode.example", PlacesURL: "https://places.example", RoutesURL: "https://routes.example",
		SearchURL: "https://search.example", FHIRURL: "https://fhir.example/{workspace_id}",
	}}
	for _, change := range with {
		change(&set)
	}
	nc := set.nats
	if nc == nil {
		nc = natstest.Connect(t)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	log := &logged{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	events, err := eventstore.Open(ctx, nc, eventstore.Config{AllowLazySync: true, Timeout: time.Minute})
	require.NoError(t, err)
	dir := t.TempDir()
	secrets, err := vault.Open(ctx, nc, vault.RootKeys{File: filepath.Join(dir, "root.keyset")}, 1)
	require.NoError(t, err)
	known, err := persons.New(secrets)
	require.NoError(t, err)
	events.SealPersons(known)
	keys, err := access.Open(ctx, nc, 1, time.Now, logger)
	require.NoError(t, err)
	store := readStore(t, dir, logger)
	projector := &projections.Projector{Events: events, Store: store, Log: logger}
	cursorKey := make([]byte, 32)
	_, _ = rand.Read(cursorKey)
	cursors, err := projections.NewCursors(cursorKey)
	require.NoError(t, err)
	outside, err := connectors.New(connectors.Config{AllowLoopback: !set.noLoopback, Profiles: set.profiles})
	require.NoError(t, err)
	now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	if set.now != nil {
		now = set.now
	}
	consents, err := authorizations.Open(ctx, nc, authorizations.Config{Events: events, Model: store, Wait: projector.Wait, Vault: secrets, Upstream: outside, Replicas: 1, Now: now, NewID: rand.Text, Log: logger})
	require.NoError(t, err)
	reader := projections.Reader{Store: store, Builtins: set.builtins}
	waiting, err := approvals.Open(ctx, nc, approvals.Config{
		Events: events, Vault: secrets, Shown: projector.WaitForApproval, Replicas: 1, Now: now, NewID: rand.Text, Log: logger,
	})
	require.NoError(t, err)
	kept, err := bodies.Open(ctx, nc, secrets, 1)
	require.NoError(t, err)
	commands := &commands.Service{
		Approvals: waiting, Bodies: kept, Authorizations: consents, Events: events, Vault: secrets, Connectors: outside, Rules: outside.Rules(), PublicKey: connectors.PublicKey, GenerateKey: connectors.GenerateKey, Reshape: connectors.Reshape, Builtins: set.builtins,
		OperatorKeys: set.operatorKeys, Now: now, NewID: rand.Text, Log: logger, Asker: transport.Asker(keys),
	}
	queue, err := health.OpenQueue(ctx, nc, 1)
	require.NoError(t, err)
	results := health.NewResults(events, logger)
	prober := &health.Prober{Queue: queue, Commands: commands, Now: time.Now, Log: logger}
	checker := &health.Checker{Read: reader, Queue: queue, Results: results, Wait: projector.WaitForProbe, Position: projector.Position, Within: set.healthWithin, Now: time.Now}
	runs := []func(context.Context) error{results.Run, prober.Run}
	past := audit.Log{Events: events, Builtins: set.builtins}
	live := &audit.Live{Log: past, Encode: transport.EncodeEvent, Every: 50 * time.Millisecond, Logger: logger}
	calls := &audit.Live{Log: past, Calls: true, Encode: transport.EncodeCall, Every: 50 * time.Millisecond, Logger: logger}
	liveApprovals := &audit.Live{Log: past, Approvals: true, Encode: transport.EncodeApprovalEvent, Every: 50 * time.Millisecond, Logger: logger}
	liveProbes := &audit.Live{Log: past, Probes: true, Encode: transport.EncodeProbe, Every: 50 * time.Millisecond, Logger: logger}
	hookKey, err := secrets.DeriveKey("webhooks")
	require.NoError(t, err)
	hooks, err := webhooks.Open(ctx, nc, webhooks.Config{
		Events: events, Key: hookKey, Send: outside.Send, Show: func(c eventstore.Commit) ([]byte, error) {
			var subject string
			if e, ok := c.Event.(domain.AuthorizationChanged); ok {
				if subject, _, err = consents.SubjectOf(ctx, e.Ref(), e.State.Incarnation); err != nil {
					return nil, err
				}
			}
			return transport.ShowEvent(audit.EntryOf(c), subject)
		},
		First: 5 * time.Millisecond, Longest: 5 * time.Millisecond, NewID: rand.Text, Now: time.Now, Log: logger,
	})
	require.NoError(t, err)
	used, err := usage.Open(ctx, nc, 1)
	require.NoError(t, err)
	counter := &usage.Counter{Events: events, Usage: used, Log: logger}
	runs = append(runs, counter.Run, live.Run, calls.Run, liveApprovals.Run, liveProbes.Run, hooks.Run, func(ctx context.Context) error { return waiting.Run(ctx, commands) })
	api := &transport.Server{
		Commands: commands, Read: reader, Cursors: cursors, Audit: past, Live: live, LiveCalls: calls, LiveApprovals: liveApprovals, LiveProbes: liveProbes, Usage: used, Keys: keys, Webhooks: hooks, Health: checker.Check,
		Wait: projector.Wait, WaitForProbe: projector.WaitForProbe, WaitForApproval: projector.WaitForApproval, WriteWait: time.Minute,
		Ready: func(ctx context.Context) (transport.Readiness, error) {
			return transport.Readiness{Position: 7, Head: 9}, errors.Join(events.CheckWritable(ctx), store.Ping(ctx))
		},
		Metrics: prometheus.NewRegistry(), NewID: rand.Text, Now: time.Now, Log: logger,
	}
	if set.proofs {
		runs = append(runs, openProofs(t, ctx, nc, api, secrets)...)
	}
	if set.adjust != nil {
		set.adjust(api)
	}
	if !set.noProjector {
		runs = append(runs, projector.Run)
	}
	var running errgroup.Group
	for _, run := range runs {
		running.Go(func() error { return run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		assert.NoError(t, running.Wait())
		assert.False(t, strings.Contains(log.String(), `"err":null`), "a log line has no cause")
	})
	require.Eventually(t, func() bool {
		for _, one := range []*audit.Live{live, calls, liveApprovals} {
			for _, err := range one.Listen(ctx, "nobody", nil) {
				if err != nil {
					return false
				}
				break
			}
		}
		return true
	}, time.Minute, time.Millisecond, "events are delivered")
	srv := httptest.NewServer(api.Handler())
	t.Cleanup(srv.Close)
	consents.SetPublicURL(srv.URL)
	consents.SetReturnOrigins([]string{set.returnOrigin})
	outside.DenyListener(srv.Listener.Addr().(*net.TCPAddr).AddrPort())
	s := &service{t: t, url: srv.URL, api: api, hooks: hooks, log: log, stores: &stores{keys: keys, events: events, read: store, projector: projector}}
	s.key = s.issue("acme", access.Admin)
	return s
}

// issue returns the text of a new key. The workspace "" makes it an operator's.
func (s *service) issue(w domain.Workspace, may ...access.Permission) string {
	s.t.Helper()
	_, text, err := s.stores.keys.Issue(s.t.Context(), access.Key{Workspace: w, Name: "test", Permissions: may, CreatedBy: "system"})
	require.NoError(s.t, err)
	return text
}

// head returns the position of the last event in the log.
func (s *service) head() uint64 {
	s.t.Helper()
	head, err := s.stores.events.Head(s.t.Context())
	require.NoError(s.t, err)
	return head
}

// logged captures the log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An upstream is an API that integrations call, with its requests.
type upstream struct {
	url string
	mu  sync.Mutex
	got []*http.Request
}

// listen starts an upstream that answers with handle, or with an empty object.
func listen(t *testing.T, handle http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.got = append(u.got, r.Clone(context.WithoutCancel(r.Context())))
		u.mu.Unlock()
		if handle != nil {
			handle(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(srv.Close)
	u.url = srv.URL
	return u
}

func (u *upstream) requests() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*http.Request(nil), u.got...)
}

func (u *upstream) last(t *testing.T) *http.Request {
	t.Helper()
	all := u.requests()
	require.NotEmpty(t, all, "the upstream got no request")
	return all[len(all)-1]
}

// closedPort returns a URL on loopback where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := netip.MustParseAddrPort(l.Addr().String())
	require.NoError(t, l.Close())
	return "http://" + addr.String()
}
