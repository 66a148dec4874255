package eventstore_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// BenchmarkReplay reads 100,000 events of 1 KB as CloudEvents, and for comparison with an
// ordered consumer that discards them.
func BenchmarkReplay(b *testing.B) {
	const events = 100_000
	address, _ := natstest.ListenMonitored(b, false)
	nc, err := nats.Connect(address)
	require.NoError(b, err)
	defer nc.Close()
	s, err := eventstore.Open(b.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(b, err)
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	fill(b, js, events)

	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			consumer, err := js.OrderedConsumer(b.Context(), "INTEGRATIONS", jetstream.OrderedConsumerConfig{})
			require.NoError(b, err)
			read, done := 0, make(chan struct{})
			consuming, err := consumer.Consume(func(jetstream.Msg) {
				if read++; read == events {
					close(done)
				}
			}, jetstream.PullMaxMessages(5000))
			require.NoError(b, err)
			<-done
			consuming.Stop()
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("replay", func(b *testing.B) {
		for b.Loop() {
			read := 0
			var lines []byte
			for batch, err := range s.Replay(b.Context(), eventstore.Replay{}) {
				require.NoError(b, err)
				lines = lines[:0]
				for _, e := range batch {
					lines = append(e.AppendJSON(lines), '\n')
				}
				_, err = io.Discard.Write(lines)
				require.NoError(b, err)
				read += len(batch)
			}
			require.Equal(b, events, read)
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// fill stores events of 1 KB as the store would.
func fill(b *testing.B, js jetstream.JetStream, events int) {
	b.Helper()
	i := crm(1)
	for n := range events {
		id := domain.NewID("acme", fmt.Sprint("crm-", n%1000))
		data := `{"integration":{"id":"` + string(id) + `","workspace_id":"acme","name":"crm","display_name":"`
		data += strings.Repeat("x", 1024-len(data)-4) + `"}}`
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: "integrations.acme." + string(id), Data: []byte(data), Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {fmt.Sprint("0199c2f0-7b1a-7c9e-8000-", n)}, "ce-type": {"integration.created.v1"},
			"ce-source": {"/v1/acme/integrations"}, "ce-subject": {string(i.ID)}, "ce-time": {"2026-05-06T12:00:00.123456Z"},
			"ce-dataschema": {"/asyncapi.yaml#/components/schemas/integration.created.v1"}, "content-type": {"application/json"},
			"ce-actor": {"key-1"}, "ce-requestid": {fmt.Sprint("req-", n)}, "ce-address": {"192.0.2.7"},
		}})
		require.NoError(b, err)
		if n%4000 == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
}
