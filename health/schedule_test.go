package health_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func (f *fixture) scheduler() *health.Scheduler {
	return &health.Scheduler{Queue: f.queue, Events: f.Events, Model: f.model, Every: 5 * time.Minute, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

func (f *fixture) change(t *testing.T, id domain.ID, doc domain.Document) {
	t.Helper()
	_, err := f.UpdateIntegration(t.Context(), ann, id, doc, commands.Condition{})
	require.NoError(t, err)
}

func TestAScheduleFollowsItsIntegration(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	f := startOn(t, natstest.Connect(t))
	u := listen(t)
	f.run(t, f.scheduler().Run)
	f.run(t, f.prober.Run)
	id := f.create(t, "crm", u.URL, true)
	f.change(t, id, domain.Document{"health_check": map[string]any{"path": "", "interval_seconds": number("10")}})
	f.change(t, id, domain.Document{"health_check": map[string]any{"path": "", "interval_seconds": number("1")}})
	probed := func() {
		t.Helper()
		before := u.asked.Load()
		require.Eventually(t, func() bool { return u.asked.Load() > before+1 }, time.Minute, 5*time.Millisecond)
	}
	probed()
	f.change(t, id, domain.Document{"enabled": false})
	other := listen(t)
	f.change(t, f.create(t, "other", other.URL, true), domain.Document{"health_check": map[string]any{"path": "", "interval_seconds": number("1")}})
	quiet := func() { // while another integration is probed, this one is not
		t.Helper()
		before, others := u.asked.Load(), other.asked.Load()
		require.Eventually(t, func() bool { return other.asked.Load() > others+2 }, time.Minute, 5*time.Millisecond)
		require.LessOrEqual(t, u.asked.Load(), before+1, "except for the running probe")
	}
	quiet()
	f.change(t, id, domain.Document{"enabled": true})
	probed()
	_, err := f.DeleteIntegration(t.Context(), ann, id, "", commands.Condition{})
	require.NoError(t, err)
	quiet()
}

// Schedules stored by earlier versions would fire in addition to the timetable.
func TestSchedulesOfEarlierVersionsAreRemoved(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	js := f.jetstream(t)
	at := "probe.schedule.acme." + string(domain.NewID("acme", "crm"))
	_, err := js.Publish(t.Context(), at, []byte("1h0m0s"), jetstream.WithScheduleEvery(time.Hour), jetstream.WithScheduleTarget(strings.Replace(at, "schedule", "due", 1)))
	require.NoError(t, err)
	f.run(t, f.scheduler().Run)
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), "PROBE_WORK")
		return err == nil && stream.CachedInfo().State.Msgs == 0
	}, time.Minute, 5*time.Millisecond)
}

func TestEnabledIntegrationsAreProbedByTheirSchedulesAndTheResultIsAnEvent(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	u := listen(t)
	s := f.scheduler()
	s.Every = time.Second
	for range 2 { // two processes share the work
		f.run(t, s.Run)
		f.run(t, f.prober.Run)
	}
	id := f.create(t, "crm", u.URL, true)
	var last domain.IntegrationProbed
	require.Eventually(t, func() bool {
		c, err := f.Events.LastProbe(t.Context(), "acme", id)
		require.NoError(t, err)
		if c.Position > 0 {
			last = c.Event.(domain.IntegrationProbed)
			require.Equal(t, "system", c.Meta.Actor)
		}
		return len(last.Days) == 1 && last.Days[0].Total >= 3
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, last.Days[0].Total, last.Days[0].Healthy)
	require.InDelta(t, last.Days[0].Total, u.asked.Load(), 1, "it was probed once each time it was due")

	u.status.Store(401)
	f.change(t, id, domain.Document{"auth": map[string]any{"api_key_value": "k"}})
	require.Eventually(t, func() bool {
		c, err := f.Events.LastProbe(t.Context(), "acme", id)
		require.NoError(t, err)
		seen := c.Event.(domain.IntegrationProbed)
		return seen.Probe.Status == domain.AuthFailed && seen.Days[0].Total > seen.Days[0].Healthy
	}, time.Minute, 10*time.Millisecond)
}

func TestARequestedProbeIsMadeOnceAfterAProberStarts(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	u := listen(t)
	id := f.create(t, "crm", u.URL, true)
	for range 5 {
		require.NoError(t, f.queue.Request(t.Context(), "acme", id, math.MaxInt64))
	}
	require.Eventually(t, func() bool { // the server counts shortly after it acknowledges
		waiting, err := f.queue.Waiting(t.Context(), health.Asked)
		require.NoError(t, err)
		require.LessOrEqual(t, waiting, uint64(1))
		return waiting == 1
	}, time.Minute, time.Millisecond)
	f.run(t, f.prober.Run)
	require.Eventually(t, func() bool {
		head, err := f.Events.ProbeHead(t.Context())
		return err == nil && head == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, int32(1), u.asked.Load())
	require.Eventually(t, func() bool { // it can be requested again once the first is acknowledged
		require.NoError(t, f.queue.Request(t.Context(), "acme", id, math.MaxInt64))
		return u.asked.Load() > 1
	}, time.Minute, 5*time.Millisecond)
}

func TestARepeatedProbeIsRecordedOnce(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	id := f.create(t, "crm", listen(t).URL, true)
	var positions [2]uint64
	for n := range positions {
		var err error
		_, positions[n], err = f.ProbeEnabled(t.Context(), commands.Caller{Workspace: "acme"}, id, "probe-7", nil)
		require.NoError(t, err)
	}
	require.Equal(t, positions[0], positions[1])
	head, err := f.Events.ProbeHead(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(1), head)
}

func TestProbingContinuesOnceNATSIsBack(t *testing.T) {
	dir := t.TempDir()
	address, stop := natstest.ListenOn(t, dir, "127.0.0.1:0")
	f := startOn(t, connect(t, address))
	u := listen(t)
	f.create(t, "crm", u.URL, true)
	f.run(t, f.prober.Run)
	require.Equal(t, domain.Healthy, f.check(t, 0)["crm"].Probe.Status)
	stop()
	_, stop = natstest.ListenOn(t, dir, address)
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		report, err := f.Check(context.Background(), ann, 0)
		return err == nil && len(report.Integrations) == 4 && u.asked.Load() > 1
	}, time.Minute, 10*time.Millisecond)
}

func number(text string) json.Number { return json.Number(text) }

func connect(t *testing.T, address string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestAnIntegrationIsNotProbedTwiceAtOnceByOneProcess(t *testing.T) {
	f := start(t)
	slow := hold(t)
	id := f.create(t, "slow", slow.URL, true)
	require.NoError(t, f.queue.Request(t.Context(), "acme", id, math.MaxInt64))
	<-slow.started
	js, err := jetstream.New(f.nc)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "probe.due.acme."+string(id), nil) // it is due by its schedule
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "PROBE_WORK")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the second is acknowledged while the first continues
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	}, time.Minute, 5*time.Millisecond)
	close(slow.answer)
	require.Eventually(t, func() bool {
		head, err := f.Events.ProbeHead(t.Context())
		return err == nil && head == 1
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, int32(1), slow.asked.Load())
}
