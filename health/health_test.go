package health_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/vault"
)

var ann = commands.Caller{Workspace: "acme", Actor: "key-ann"}

// clock is a clock that tests move.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMicro(c.Load()).UTC() }

func (c *clock) add(d time.Duration) { c.Add(d.Microseconds()) }

// fixture has everything that probes, in one process, and the log it probes from.
type fixture struct {
	*health.Checker
	*commands.Service
	clock  *clock
	nc     *nats.Conn
	queue  *health.Queue
	prober *health.Prober
	model  *projections.Live
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := startOn(t, natstest.Connect(t))
	f.run(t, f.prober.Run)
	return f
}

// startOn starts everything except a prober.
func startOn(t *testing.T, nc *nats.Conn) *fixture {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	secrets, err := vault.Open(t.Context(), nc, vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}, 1)
	require.NoError(t, err)
	queue, err := health.OpenQueue(t.Context(), nc, 1)
	require.NoError(t, err)
	queue.Log, queue.Again = log, 10*time.Millisecond
	c := &clock{}
	c.Store(time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC).UnixMicro())
	outside, err := connectors.New(connectors.Config{AllowLoopback: true, Now: c.now})
	require.NoError(t, err)
	service := &commands.Service{Events: events, Vault: secrets, Connectors: outside, Rules: outside.Rules(), Now: c.now, NewID: rand.Text, Log: log}
	results := health.NewResults(events, log)
	model := &projections.Live{Events: events, Generations: &sqlite.Generations{Folder: t.TempDir(), Log: log}, Log: log}
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	f := &fixture{
		Service: service, clock: c, nc: nc, queue: queue, model: model,
		Checker: &health.Checker{Read: projections.Reader{Store: model}, Queue: queue, Results: results, Wait: model.WaitForProbe, Position: model.Position, Within: 10 * time.Second, Now: c.now},
		prober:  &health.Prober{Queue: queue, Commands: service, Now: time.Now, Log: log},
	}
	f.run(t, model.Run)
	require.NoError(t, model.Wait(t.Context(), 0))
	f.run(t, results.Run)
	return f
}

// run runs a part of the service until the returned function is called or the test ends.
func (f *fixture) run(t *testing.T, part func(context.Context) error) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	end = sync.OnceFunc(func() { stop(); require.NoError(t, <-done) })
	t.Cleanup(end)
	return end
}

func (f *fixture) create(t *testing.T, name, baseURL string, enabled bool) domain.ID {
	t.Helper()
	out, err := f.Service.CreateIntegration(t.Context(), ann, domain.Document{"name": name, "display_name": name, "base_url": baseURL, "enabled": enabled}, commands.Condition{})
	require.NoError(t, err)
	require.NoError(t, f.model.Wait(t.Context(), out.Position))
	f.clock.add(time.Second)
	return out.Integration.ID
}

func (f *fixture) jetstream(t *testing.T) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(f.nc)
	require.NoError(t, err)
	return js
}

// scribble stores an event that this version can't read, and returns its position.
func (f *fixture) scribble(t *testing.T, id domain.ID) uint64 {
	t.Helper()
	ack, err := f.jetstream(t).PublishMsg(t.Context(), &nats.Msg{
		Subject: "integrations.acme." + string(id), Data: []byte("{}"),
		Header: nats.Header{"ce-type": {"integration.updated.v99"}, "ce-time": {"2026-05-06T12:00:00Z"}},
	})
	require.NoError(t, err)
	return ack.Sequence
}

// check returns the results of a check, by name of the integration.
func (f *fixture) check(t *testing.T, maxAge time.Duration) map[string]domain.HealthResult {
	t.Helper()
	report, err := f.Check(t.Context(), ann, maxAge)
	require.NoError(t, err)
	require.Equal(t, f.clock.now(), report.CheckedAt)
	seen := map[string]domain.HealthResult{}
	for _, r := range report.Integrations {
		seen[r.Integration.Name] = r
	}
	return seen
}

// upstream answers with a configurable status, and counts its requests.
type upstream struct {
	*httptest.Server
	status atomic.Int32
	asked  atomic.Int32
}

func listen(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.status.Store(http.StatusOK)
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		u.asked.Add(1)
		w.WriteHeader(int(u.status.Load()))
	}))
	t.Cleanup(u.Close)
	return u
}

// held is an upstream that doesn't answer before answer is closed.
type held struct {
	*httptest.Server
	asked   atomic.Int32
	started chan struct{} // has one element for each request
	answer  chan struct{}
}

func hold(t *testing.T) *held {
	t.Helper()
	h := &held{started: make(chan struct{}, 100), answer: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		h.asked.Add(1)
		h.started <- struct{}{}
		select {
		case <-h.answer:
		case <-t.Context().Done(): // the test has failed
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func TestEveryEnabledIntegrationIsProbedAndNoOther(t *testing.T) {
	f := start(t)
	good, bad, off := listen(t), listen(t), listen(t)
	bad.status.Store(http.StatusInternalServerError)
	f.create(t, "good", good.URL, true)
	f.create(t, "bad", bad.URL, true)
	f.create(t, "off", off.URL, false)
	seen := f.check(t, 0)
	require.Equal(t, domain.Healthy, seen["good"].Probe.Status)
	require.Equal(t, domain.Unreachable, seen["bad"].Probe.Status)
	require.Equal(t, 500, seen["bad"].Probe.HTTPStatus)
	require.NotEmpty(t, seen["bad"].Probe.Message, "the reason of a failure is recorded")
	require.NotContains(t, seen, "off")
	require.Zero(t, off.asked.Load())
	for _, b := range []string{domain.GoogleMaps, domain.GoogleSearch, domain.AmigoFHIR} {
		require.False(t, seen[b].Known, "the health of a built-in that is not configured is unknown")
	}
}

func TestListingsShowAResultAfterTheCheck(t *testing.T) {
	f := start(t)
	id := f.create(t, "good", listen(t).URL, true)
	f.check(t, 0)
	i, err := f.Read.Get(t.Context(), "acme", id)
	require.NoError(t, err)
	require.Equal(t, domain.Healthy, i.LastProbe.Status)
	require.Equal(t, uint64(1), i.Version, "a probe never changes a version")
}

func TestAResultIsReusedUntilItIsOldOrTheConfigurationChanges(t *testing.T) {
	f := start(t)
	u := listen(t)
	id := f.create(t, "good", u.URL, true)
	first := f.check(t, 0)["good"]
	require.Equal(t, int32(1), u.asked.Load())
	f.clock.add(29 * time.Second)
	again := f.check(t, 30*time.Second)["good"]
	require.Equal(t, int32(1), u.asked.Load())
	require.Equal(t, first.Probe.At, again.Probe.At)
	require.Equal(t, first.Probe.HTTPStatus, again.Probe.HTTPStatus)
	require.Equal(t, first.Probe.Message, again.Probe.Message)
	f.clock.add(2 * time.Second)
	f.check(t, 30*time.Second)
	require.Equal(t, int32(2), u.asked.Load(), "it was old")
	f.clock.add(time.Second)
	out, err := f.Service.UpdateIntegration(t.Context(), ann, id, domain.Document{"display_name": "Better"}, commands.Condition{})
	require.NoError(t, err)
	require.NoError(t, f.model.Wait(t.Context(), out.Position))
	f.check(t, 30*time.Second)
	require.Equal(t, int32(3), u.asked.Load(), "the configuration changed")
	f.check(t, 0)
	require.Equal(t, int32(4), u.asked.Load(), "no result is recent enough")
}

func TestHangingUpstreamsCostNoMoreThanTheTimeOfTheCheck(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	f.queue.AtOnce, f.Within = 2, 300*time.Millisecond
	f.run(t, f.prober.Run)
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(hang) })
	for n := range 6 {
		f.create(t, fmt.Sprint("slow-", n), slow.URL, true)
	}
	seen := f.check(t, 0)
	for n := range 6 {
		r := seen[fmt.Sprint("slow-", n)]
		require.False(t, r.Known)
		require.NotEqual(t, domain.Healthy, r.Probe.Status, "an integration that was not probed is not reported healthy")
		require.Contains(t, r.Probe.Message, "check again")
	}
}

func TestACheckThatRanOutOfTimeContinuesWhereItWas(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	f.Within = time.Second
	f.run(t, f.prober.Run)
	fast, slow := listen(t), hold(t)
	for n := range 5 {
		f.create(t, fmt.Sprint("fast-", n), fast.URL, true)
		f.create(t, fmt.Sprint("slow-", n), slow.URL, true)
	}
	known := func(seen map[string]domain.HealthResult) (count int) {
		for _, r := range seen {
			if r.Known {
				count++
			}
		}
		return count
	}
	first := f.check(t, 0)
	require.LessOrEqual(t, known(first), 5)
	asked := fast.asked.Load()
	close(slow.answer)
	f.Within = 10 * time.Second
	require.Equal(t, 10, known(f.check(t, 0)))
	require.LessOrEqual(t, fast.asked.Load(), asked+int32(5-known(first)), "integrations with a result are not probed again")
	asked = fast.asked.Load()
	require.Equal(t, 10, known(f.check(t, 0)))
	require.Equal(t, asked+5, fast.asked.Load(), "a finished check is followed by a new one")
}

func TestHangingUpstreamsDoNotAffectOtherWorkspaces(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	f.queue.AtOnce, f.queue.AtOnceEach = 3, 2
	f.run(t, f.prober.Run)
	hanging := hold(t)
	for n := range 6 {
		f.create(t, fmt.Sprint("slow-", n), hanging.URL, true)
	}
	bob := commands.Caller{Workspace: "globex", Actor: "key-bob"}
	out, err := f.Service.CreateIntegration(t.Context(), bob, domain.Document{"name": "good", "display_name": "Good", "base_url": listen(t).URL}, commands.Condition{})
	require.NoError(t, err)
	require.NoError(t, f.model.Wait(t.Context(), out.Position))
	f.clock.add(time.Second)

	var checks sync.WaitGroup
	checks.Go(func() { f.check(t, 0) })
	<-hanging.started
	<-hanging.started
	report, err := f.Check(t.Context(), bob, 0)
	require.NoError(t, err)
	require.Equal(t, domain.Healthy, report.Integrations[slices.IndexFunc(report.Integrations, func(r domain.HealthResult) bool { return r.Integration.Name == "good" })].Probe.Status)
	close(hanging.answer)
	checks.Wait()
}

func TestAnUnreadableIntegrationIsUnknownAndTheOthersAreChecked(t *testing.T) {
	f := start(t)
	f.create(t, "good", listen(t).URL, true)
	id := f.create(t, "parked", listen(t).URL, true)
	position := f.scribble(t, id)
	require.NoError(t, f.model.Wait(t.Context(), position))
	f.Within = time.Minute // the check doesn't wait for it
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	report, err := f.Check(ctx, ann, 0)
	require.NoError(t, err)
	require.NoError(t, ctx.Err())
	for _, r := range report.Integrations {
		require.Equal(t, r.Integration.Name == "good", r.Known, r.Integration.Name)
	}

	require.NoError(t, f.queue.Request(t.Context(), "acme", id, 0))
	require.Eventually(t, func() bool { // the retries end
		stream, err := f.jetstream(t).Stream(t.Context(), "PROBE_WORK")
		return err == nil && stream.CachedInfo().State.Msgs == 0
	}, time.Minute, 5*time.Millisecond)
}

func TestACheckAfterAChangeDoesNotShareAnEarlierOne(t *testing.T) {
	f := start(t)
	slow := hold(t)
	id := f.create(t, "slow", slow.URL, true)
	var checks sync.WaitGroup
	checks.Go(func() {
		_, err := f.Check(t.Context(), ann, 0)
		require.NoError(t, err)
	})
	<-slow.started
	f.create(t, "late", listen(t).URL, true)
	checks.Go(func() {
		report, err := f.Check(t.Context(), ann, 0)
		require.NoError(t, err)
		require.Len(t, report.Integrations, 2+3)
	})
	wait := func() bool { return f.Results.Waiting(domain.Ref{Workspace: "acme", ID: id}) == 2 }
	require.Eventually(t, wait, time.Minute, time.Millisecond, "both wait for the slow one")
	close(slow.answer)
	checks.Wait()
}

func TestConcurrentChecksCostAnUpstreamOneProbe(t *testing.T) {
	f := start(t)
	slow := hold(t)
	f.create(t, "slow", slow.URL, true)
	gone, leave := context.WithCancel(t.Context())
	var checks sync.WaitGroup
	check := func(ctx context.Context) {
		checks.Go(func() {
			report, err := f.Check(ctx, ann, 0)
			require.NoError(t, err)
			require.Len(t, report.Integrations, 1+3)
		})
	}
	check(gone)
	<-slow.started
	leave() // the others still get the result
	for range 20 {
		check(t.Context())
	}
	require.Eventually(t, func() bool { // all of them wait for the one check
		var stacks strings.Builder
		return pprof.Lookup("goroutine").WriteTo(&stacks, 2) == nil && strings.Count(stacks.String(), "singleflight.(*Group).Do(") >= 21
	}, time.Minute, time.Millisecond)
	close(slow.answer)
	checks.Wait()
	require.Equal(t, int32(1), slow.asked.Load())
}

func TestManyIntegrationsAreAllChecked(t *testing.T) {
	f := start(t)
	u := listen(t)
	for n := range 250 { // more than one page
		f.create(t, fmt.Sprint("crm-", n), u.URL, true)
	}
	require.Len(t, f.check(t, 0), 250+3)
	require.Equal(t, int32(250), u.asked.Load())
}

func TestChecksOfTwoProcessesShareTheProbes(t *testing.T) {
	f := start(t)
	results := health.NewResults(f.Events, slog.New(slog.DiscardHandler))
	f.run(t, results.Run)
	other := &health.Checker{Read: f.Read, Queue: f.queue, Results: results, Wait: f.model.WaitForProbe, Position: f.model.Position, Within: 10 * time.Second, Now: f.clock.now}
	slow := hold(t)
	id := f.create(t, "slow", slow.URL, true)
	var checks sync.WaitGroup
	check := func(c *health.Checker) {
		checks.Go(func() {
			report, err := c.Check(t.Context(), ann, 0)
			require.NoError(t, err)
			for _, r := range report.Integrations {
				require.Equal(t, r.Integration.Builtin, !r.Known)
			}
		})
	}
	check(f.Checker)
	<-slow.started
	check(other)
	waits := func() bool { return results.Waiting(domain.Ref{Workspace: "acme", ID: id}) == 1 }
	require.Eventually(t, waits, time.Minute, time.Millisecond, "the other waits for the running probe")
	require.NoError(t, f.queue.Request(t.Context(), "acme", id, 0), "which changes nothing")
	close(slow.answer)
	checks.Wait()
	require.Equal(t, int32(1), slow.asked.Load())
}
