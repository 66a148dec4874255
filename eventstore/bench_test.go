package eventstore_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// The figures of docs/adr 1, 3 and 7 come from here. Every append is synced to
// disk before it is acknowledged.

func existing(b *testing.B, nc *nats.Conn) *eventstore.Store {
	b.Helper()
	s, err := eventstore.Open(b.Context(), nc, eventstore.Config{Durable: durable})
	require.NoError(b, err)
	return s
}

// BenchmarkAppend appends from one process to a log with batches, and to a log
// without.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 32, 64, 128} {
		for _, mode := range []string{"grouped", "single"} {
			b.Run(fmt.Sprintf("%s/%dwriters", mode, writers), func(b *testing.B) {
				nc := natstest.Connect(b)
				if mode == "single" {
					js, err := jetstream.New(nc)
					require.NoError(b, err)
					_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{
						Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, AllowDirect: true, DenyDelete: true, DenyPurge: true,
					})
					require.NoError(b, err)
				}
				s := existing(b, nc)
				var next atomic.Uint64
				if writers == 1 {
					for b.Loop() {
						create(b, s, next.Add(1))
					}
					return
				}
				b.SetParallelism(max(writers/runtime.GOMAXPROCS(0), 1))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						create(b, s, next.Add(1))
					}
				})
			})
		}
	}
}

func create(b *testing.B, s *eventstore.Store, n uint64) {
	b.Helper()
	i := crm(1)
	i.Name = "crm-" + strconv.FormatUint(n, 10)
	i.ID = domain.NewID("acme", i.Name)
	_, err := s.Append(b.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(i.Name))
	require.NoError(b, err)
}

// BenchmarkBatchOfTwo measures an append that writes two messages atomically.
func BenchmarkBatchOfTwo(b *testing.B) {
	nc := natstest.Connect(b)
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "BATCHES", Subjects: []string{"batches.*"}, AllowAtomicPublish: true})
	require.NoError(b, err)
	data := make([]byte, 600)
	n := 0
	for b.Loop() {
		n++
		id := strconv.Itoa(n)
		first := &nats.Msg{Subject: "batches." + id, Data: data, Header: nats.Header{"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"1"}}}
		_, err := nc.RequestMsg(first, nats.DefaultTimeout)
		require.NoError(b, err)
		last := &nats.Msg{Subject: fmt.Sprintf("batches.%d-b", n), Data: data, Header: nats.Header{"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"2"}, "Nats-Batch-Commit": {"1"}}}
		reply, err := nc.RequestMsg(last, nats.DefaultTimeout)
		require.NoError(b, err)
		require.NotContains(b, string(reply.Data), `"error"`)
	}
}

func BenchmarkLoad(b *testing.B) {
	s := existing(b, natstest.Connect(b))
	for n := range uint64(1000) {
		create(b, s, n)
	}
	id := domain.NewID("acme", "crm-500")
	for b.Loop() {
		c, err := s.Load(b.Context(), "acme", id)
		require.NoError(b, err)
		require.NotZero(b, c.Position)
	}
}

func BenchmarkClaim(b *testing.B) {
	s := existing(b, natstest.Connect(b))
	n := 0
	for b.Loop() {
		n++
		_, err := s.Claim(b.Context(), strconv.Itoa(n), eventstore.Claim{CommandID: "c1", Request: "r1"})
		require.NoError(b, err)
	}
}
