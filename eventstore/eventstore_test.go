package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

func durable(context.Context) (bool, error) { return true, nil }

// open returns a store that waits as long as a slow server may take.
func open(t *testing.T, nc *nats.Conn) *eventstore.Store {
	t.Helper()
	return openFor(t, nc, time.Minute)
}

// openFor returns a store that waits for a server that may be away or unreachable.
func openFor(t *testing.T, nc *nats.Conn, timeout time.Duration) *eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable, Timeout: timeout})
	require.NoError(t, err)
	return s
}

// crm returns the state of an integration called crm at a version.
func crm(version uint64) domain.Integration {
	return domain.Integration{
		ID: domain.NewID("acme", "crm"), Workspace: "acme", Name: "crm", Version: version, Incarnation: 1,
		CreatedAt: noon, UpdatedAt: noon,
		Configuration: domain.Configuration{DisplayName: "CRM", Protocol: domain.REST, BaseURL: "https://crm.example.com", Enabled: true, Endpoints: []domain.Endpoint{}},
	}
}

func meta(command string) domain.Metadata {
	return domain.Metadata{CommandID: command, At: noon, Actor: "key-1", Address: "192.0.2.7", RequestID: "req-9", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
}

func appendTo(t *testing.T, s *eventstore.Store, after uint64, e domain.Event, command string) uint64 {
	t.Helper()
	position, err := s.Append(t.Context(), "acme", crm(1).ID, after, e, meta(command))
	require.NoError(t, err)
	return position
}

func TestAnAppendedEventIsLoaded(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	none, err := s.Load(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, eventstore.Commit{}, none, "an unknown integration has no last event")

	created := domain.IntegrationCreated{Integration: crm(1)}
	position := appendTo(t, s, 0, created, "c1")
	want := eventstore.Commit{Workspace: "acme", ID: crm(1).ID, Position: position, Event: created, Meta: meta("c1")}
	got, err := s.Load(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = s.LoadFromLeader(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = s.Next(t.Context(), "acme", crm(1).ID, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestAMessageIsACloudEvent(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	msg, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "integrations.acme."+string(crm(1).ID), msg.Subject)
	for name, want := range map[string]string{
		"ce-specversion": "1.0", "ce-id": "c1", "ce-type": "integration.created.v1", "ce-source": "/v1/acme/integrations",
		"ce-subject": string(crm(1).ID), "ce-time": "2026-05-06T12:00:00Z", "ce-actor": "key-1", "ce-address": "192.0.2.7",
		"ce-requestid": "req-9", "ce-traceparent": meta("").TraceParent, "content-type": "application/json",
		"ce-dataschema": "/asyncapi.yaml#/components/schemas/integration.created.v1",
	} {
		require.Equal(t, want, msg.Header.Get(name), name)
	}
}

func TestAStaleAppendIsRefused(t *testing.T) {
	s := open(t, natstest.Connect(t))
	first := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	appendTo(t, s, first, domain.IntegrationUpdated{Integration: crm(2)}, "c2")
	for _, stale := range []uint64{0, first} {
		_, err := s.Append(t.Context(), "acme", crm(1).ID, stale, domain.IntegrationUpdated{Integration: crm(2)}, meta("c3"))
		require.ErrorIs(t, err, eventstore.ErrConflict)
	}
}

func TestOneOfTheRacingCreatorsWins(t *testing.T) {
	raceToCreate(t, 32, open(t, natstest.Connect(t)))
}

// raceToCreate lets the stores create the same integration at once. One append
// succeeds and all others conflict.
func raceToCreate(t *testing.T, appends int, stores ...*eventstore.Store) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, appends)
	for n := range appends {
		wg.Go(func() {
			_, err := stores[n%len(stores)].Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: crm(1)}, meta(strconv.Itoa(n)))
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	won := 0
	for err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, eventstore.ErrConflict)
	}
	require.Equal(t, 1, won)
}

func TestARetryAfterALostAckSucceeds(t *testing.T) {
	s := open(t, natstest.Connect(t))
	first := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	again := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	require.Equal(t, first, again, "the same command is recognised, not refused and not stored twice")
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, head)
}

func TestAnEventThatIsTooLargeForNATSIsRefusedAsTooLarge(t *testing.T) {
	s := open(t, natstest.Connect(t))
	large := crm(1)
	large.DisplayName = string(make([]byte, 2<<20))
	_, err := s.Append(t.Context(), "acme", large.ID, 0, domain.IntegrationCreated{Integration: large}, meta("c1"))
	require.Equal(t, domain.TooLarge, domain.KindOf(err))
}

func TestAfterYieldsHistoryThenLiveEventsWithoutAGap(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	s := open(t, natstest.Connect(t))
	const events = 3000
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	write := func(from, to int) {
		for n := from; n < to; n++ {
			i := crm(1)
			i.Name = fmt.Sprint("crm-", n)
			i.ID = domain.NewID("acme", i.Name)
			_, err := s.Append(ctx, "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(i.Name))
			require.NoError(t, err)
		}
	}
	write(0, events/2)
	done := make(chan struct{})
	go func() { defer close(done); write(events/2, events) }()
	next := uint64(1)
	for batch, err := range s.After(ctx, 0) {
		require.NoError(t, err)
		for _, c := range batch {
			require.Equal(t, next, c.Position)
			require.NoError(t, c.Err)
			next++
		}
		if next > events {
			break
		}
	}
	require.Equal(t, uint64(events+1), next)
	<-done
	for batch, err := range s.After(ctx, events-1) {
		require.NoError(t, err)
		require.Len(t, batch, 1, "a tail that starts late starts there")
		require.Equal(t, uint64(events), batch[0].Position)
		break
	}
}

func TestAnUnreadableEventIsYieldedWithItsError(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	subject := "integrations.acme." + string(crm(1).ID)
	for _, msg := range []*nats.Msg{
		{Subject: subject, Data: []byte("{}")},
		{Subject: subject, Data: []byte("{}"), Header: nats.Header{"ce-type": {"integration.renamed.v1"}, "ce-time": {noon.Format(time.RFC3339)}}},
		{Subject: subject, Data: []byte("not json"), Header: nats.Header{"ce-type": {"integration.created.v1"}, "ce-time": {noon.Format(time.RFC3339)}}},
		{Subject: subject, Data: []byte("{}"), Header: nats.Header{"ce-type": {"integration.created.v9"}, "ce-time": {noon.Format(time.RFC3339)}}},
	} {
		_, err := js.PublishMsg(t.Context(), msg)
		require.NoError(t, err)
	}
	read := 0
	for batch, err := range s.After(t.Context(), 0) {
		require.NoError(t, err)
		for _, c := range batch {
			require.Error(t, c.Err)
			require.Nil(t, c.Event)
			require.Equal(t, crm(1).ID, c.ID)
			read++
		}
		if read == 4 {
			break
		}
	}
	_, err = s.Load(t.Context(), "acme", crm(1).ID)
	require.Error(t, err, "no decision is made on a state that can't be read")
}

func TestEventsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	position := appendTo(t, open(t, nc), 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	stop()
	nc, stop = natstest.Start(t, dir)
	defer stop()
	c, err := open(t, nc).Load(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, position, c.Position)
}

func TestAServerThatAcknowledgesBeforeItSyncsIsRefused(t *testing.T) {
	nc := natstest.Connect(t)
	for name, durable := range map[string]eventstore.DurableFunc{
		"it doesn't":        func(context.Context) (bool, error) { return false, nil },
		"unknown":           nil,
		"it can't be asked": func(context.Context) (bool, error) { return true, errors.New("no route") },
	} {
		_, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable})
		require.ErrorContains(t, err, "sync", name)
		_, err = eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable, AllowLazySync: true})
		require.NoError(t, err, name)
	}
}

func TestTheMonitoringPortReportsWhetherTheServerSyncs(t *testing.T) {
	for body, want := range map[string]bool{
		`{"config":{"sync_interval":120000000000,"sync_always":true}}`: true,
		`{"config":{"sync_interval":120000000000}}`:                    false,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		got, err := eventstore.Monitored(srv.Client(), srv.URL)(t.Context())
		srv.Close()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	_, err := eventstore.Monitored(http.DefaultClient, gone.URL)(t.Context())
	require.Error(t, err)
}

func TestALogThatMayLoseEventsIsRefused(t *testing.T) {
	safe := jetstream.StreamConfig{Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, AllowDirect: true, DenyDelete: true, DenyPurge: true}
	for name, spoil := range map[string]func(*jetstream.StreamConfig){
		"deny_delete":          func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"deny_purge":           func(c *jetstream.StreamConfig) { c.DenyPurge = false },
		"retention":            func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"storage":              func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"max_age":              func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max_bytes":            func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 },
		"max_msgs":             func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"TTL":                  func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
		"allow_direct":         func(c *jetstream.StreamConfig) { c.AllowDirect = false },
		"persist_mode":         func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
	} {
		t.Run(name, func(t *testing.T) {
			nc := natstest.Connect(t)
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			cfg := safe
			spoil(&cfg)
			_, err = js.CreateStream(t.Context(), cfg)
			require.NoError(t, err)
			_, err = eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable})
			require.ErrorContains(t, err, name)
		})
	}
}

func TestAnIdempotencyKeyIsClaimedOnce(t *testing.T) {
	s := open(t, natstest.Connect(t))
	_, there, err := s.Claimed(t.Context(), "k")
	require.NoError(t, err)
	require.False(t, there)
	first := eventstore.Claim{CommandID: "c1", Request: "r1", After: 7}
	for _, claim := range []eventstore.Claim{first, {CommandID: "c2", Request: "r2"}} {
		got, err := s.Claim(t.Context(), "k", claim)
		require.NoError(t, err)
		require.Equal(t, first, got)
	}
}

func TestProbesAreRecordedApartFromTheHistory(t *testing.T) {
	s := open(t, natstest.Connect(t))
	seen := domain.IntegrationProbed{ID: crm(1).ID, Workspace: "acme", Incarnation: 1, Probe: domain.Probe{Status: domain.Healthy, At: noon}}
	position, err := s.RecordProbe(t.Context(), 0, seen, meta("p1"))
	require.NoError(t, err)
	last, err := s.LastProbe(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, position, last.Position)
	require.Equal(t, seen, last.Event)
	_, err = s.RecordProbe(t.Context(), 0, seen, meta("p2"))
	require.ErrorIs(t, err, eventstore.ErrConflict, "each result follows the previous one")
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Zero(t, head, "a probe never extends an integration's history")
	for batch, err := range s.ProbesAfter(t.Context(), 0) {
		require.NoError(t, err)
		require.Equal(t, position, batch[0].Position)
		require.Equal(t, seen, batch[0].Event)
		break
	}
}
