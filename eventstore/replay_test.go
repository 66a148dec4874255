package eventstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// replayed returns the positions that a replay yields until it ends.
func replayed(t *testing.T, s *eventstore.Store, r eventstore.Replay) []uint64 {
	t.Helper()
	var all []uint64
	for batch, err := range s.Replay(t.Context(), r) {
		require.NoError(t, err)
		for _, e := range batch {
			all = append(all, e.Position)
		}
	}
	require.NoError(t, t.Context().Err())
	return all
}

// spread appends the creation of integrations to several workspaces in rotation.
func spread(t *testing.T, s *eventstore.Store, from, to int, workspaces ...domain.Workspace) {
	t.Helper()
	for n := from; n < to; n++ {
		i := numbered(n)
		i.Workspace = workspaces[n%len(workspaces)]
		i.ID = domain.NewID(i.Workspace, i.Name)
		_, err := s.Append(t.Context(), i.Workspace, i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(i.Name))
		require.NoError(t, err)
	}
}

func TestAReplayYieldsTheSelectedEventsAndEnds(t *testing.T) {
	s := open(t, natstest.Connect(t))
	require.Empty(t, replayed(t, s, eventstore.Replay{}), "nothing has happened")
	spread(t, s, 0, 600, "acme", "globex") // positions 1 to 600, the odd ones are of acme
	between := time.Now()
	spread(t, s, 600, 610, "acme", "globex")

	require.Len(t, replayed(t, s, eventstore.Replay{}), 610)
	require.Len(t, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "acme"}}), 305, "though the last event is of another workspace")
	require.Equal(t, []uint64{605, 607, 609}, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "acme"}, After: 603}))
	require.Empty(t, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "acme"}, After: 609}))
	require.Empty(t, replayed(t, s, eventstore.Replay{After: 9000}))
	require.Equal(t, []uint64{3}, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "acme", ID: domain.NewID("acme", "crm-2")}}))
	require.Empty(t, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "nobody"}}))

	require.Equal(t, []uint64{601, 603, 605, 607, 609}, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "acme"}, From: between}))
	require.Equal(t, []uint64{608, 610}, replayed(t, s, eventstore.Replay{Of: eventstore.Selection{Workspace: "globex"}, From: between, After: 607}))
	require.Empty(t, replayed(t, s, eventstore.Replay{From: time.Now()}))
}

func TestAReplayThatFollowsContinuesWithNewEvents(t *testing.T) {
	s := open(t, natstest.Connect(t))
	spread(t, s, 0, 3, "acme")
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var all []uint64
	for batch, err := range s.Replay(ctx, eventstore.Replay{After: 1, Follow: true}) {
		require.NoError(t, err)
		for _, e := range batch {
			all = append(all, e.Position)
		}
		switch len(all) {
		case 2:
			spread(t, s, 3, 5, "acme")
		case 4:
			end()
		}
	}
	require.Equal(t, []uint64{2, 3, 4, 5}, all)
}

func TestAReplayOfProbesSkipsDroppedResults(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	for n := range uint64(4) {
		_, err := s.RecordProbe(t.Context(), n, domain.IntegrationProbed{ID: crm(1).ID, Workspace: "acme", Probe: domain.Probe{Status: domain.Healthy}}, meta("p"))
		require.NoError(t, err)
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	probes, err := js.Stream(t.Context(), "PROBES")
	require.NoError(t, err)
	require.NoError(t, probes.DeleteMsg(t.Context(), 2))
	require.NoError(t, probes.DeleteMsg(t.Context(), 4))
	require.Equal(t, []uint64{1, 3}, replayed(t, s, eventstore.Replay{Probes: true}))
}

func TestAReplayFailsWhenNATSStops(t *testing.T) {
	nc, stop := natstest.Start(t, t.TempDir())
	s := open(t, nc)
	spread(t, s, 0, 3, "acme")
	var failed error
	for _, err := range s.Replay(t.Context(), eventstore.Replay{Follow: true}) {
		if failed = err; err != nil {
			break
		}
		stop()
	}
	require.Equal(t, domain.Unavailable, domain.KindOf(failed))
}

// structured is a CloudEvent in structured mode.
type structured struct {
	SpecVersion, ID, Type, Source, Subject, DataSchema, DataContentType string
	Actor, RequestID, Address, TraceParent, Sequence                    string
	Time                                                                time.Time
	Data                                                                json.RawMessage
	DataBase64                                                          []byte `json:"data_base64"`
}

func TestAReplayedEventIsACloudEventOnOneLine(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	foreign := nats.Header{"ce-id": {"quote \" and é"}, "ce-type": {"integration.created.v9"}}
	subject := "integrations.acme." + string(crm(1).ID)
	require.NoError(t, nc.PublishMsg(&nats.Msg{Subject: subject, Header: foreign, Data: []byte("{\n \"of\": \"the future\"\r\n}")}))
	require.NoError(t, nc.PublishMsg(&nats.Msg{Subject: subject, Header: foreign, Data: []byte("not\njson")}))
	require.NoError(t, nc.Flush())
	require.Eventually(t, func() bool { head, err := s.Head(t.Context()); return err == nil && head == 3 }, time.Minute, time.Millisecond)

	var got []structured
	for batch, err := range s.Replay(t.Context(), eventstore.Replay{}) {
		require.NoError(t, err)
		for _, e := range batch {
			line := string(e.AppendJSON(nil))
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "\r")
			var one structured
			decoder := json.NewDecoder(strings.NewReader(line))
			decoder.DisallowUnknownFields()
			require.NoError(t, decoder.Decode(&one), line)
			got = append(got, one)
		}
	}
	require.Len(t, got, 3)
	data, err := json.Marshal(domain.IntegrationCreated{Integration: crm(1)})
	require.NoError(t, err)
	require.Equal(t, structured{
		SpecVersion: "1.0", ID: "c1", Type: "integration.created.v1", Source: "/v1/acme/integrations", Subject: string(crm(1).ID),
		DataSchema: "/asyncapi.yaml#/components/schemas/integration.created.v1", DataContentType: "application/json",
		Actor: "key-1", RequestID: "req-9", Address: "192.0.2.7", TraceParent: meta("").TraceParent,
		Sequence: fmt.Sprintf("%020d", 1), Time: noon, Data: data,
	}, got[0])
	require.Equal(t, `quote " and é`, got[1].ID)
	require.Equal(t, "integration.created.v9", got[1].Type, "an unknown version is passed through")
	require.JSONEq(t, `{"of": "the future"}`, string(got[1].Data))
	require.Equal(t, "not\njson", string(got[2].DataBase64))
}
