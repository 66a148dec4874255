package trees_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// BenchmarkAppend measures an append to the log while its tree grows, and without a tree.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		for _, tree := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dwriters/tree=%t", writers, tree), func(b *testing.B) {
				nc := natstest.Connect(b)
				events, err := eventstore.Open(b.Context(), nc, eventstore.Config{AllowLazySync: true})
				require.NoError(b, err)
				store, err := trees.Open(b.Context(), nc, 1)
				require.NoError(b, err)
				key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
				require.NoError(b, err)
				if tree {
					f := &trees.Follower{Events: events, Trees: store, Streams: map[transparency.Log]string{transparency.Integrations: "INTEGRATIONS"}, Key: key, Log: slog.New(slog.DiscardHandler)}
					go func() { _ = f.Run(b.Context()) }()
					require.Eventually(b, func() bool { _, err := store.State(b.Context(), transparency.Integrations); return err == nil }, time.Minute, time.Millisecond)
				}
				var next atomic.Uint64
				appendOne := func() {
					i := domain.Integration{Workspace: "acme", Name: "crm-" + strconv.FormatUint(next.Add(1), 10), Version: 1}
					i.ID = domain.NewID("acme", i.Name)
					_, err := events.Append(b.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: i.Name})
					require.NoError(b, err)
				}
				if writers == 1 {
					for b.Loop() {
						appendOne()
					}
				} else {
					b.SetParallelism(writers / 2)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							appendOne()
						}
					})
				}
				b.StopTimer()
				if !tree {
					return
				}
				s, err := store.State(b.Context(), transparency.Integrations)
				require.NoError(b, err)
				b.ReportMetric(float64(next.Load()-s.Edge.Size), "behind")
			})
		}
	}
}

// BenchmarkFirstTree measures how fast a log that has no tree yet is hashed.
func BenchmarkFirstTree(b *testing.B) {
	const messages = 20_000
	for b.Loop() {
		b.StopTimer()
		nc := natstest.Connect(b)
		events, err := eventstore.Open(b.Context(), nc, eventstore.Config{AllowLazySync: true})
		require.NoError(b, err)
		store, err := trees.Open(b.Context(), nc, 1)
		require.NoError(b, err)
		js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(500))
		require.NoError(b, err)
		_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log.>"}, AllowDirect: true, Storage: jetstream.MemoryStorage})
		require.NoError(b, err)
		for n := range messages {
			_, err := js.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprint("log.acme.", n), Data: bytes.Repeat([]byte("x"), 1000)})
			require.NoError(b, err)
		}
		<-js.PublishAsyncComplete()
		key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
		require.NoError(b, err)
		f := &trees.Follower{Events: events, Trees: store, Streams: map[transparency.Log]string{transparency.Integrations: "LOG"}, Key: key, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(b.Context())
		b.StartTimer()
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		require.Eventually(b, func() bool {
			s, err := store.State(b.Context(), transparency.Integrations)
			return err == nil && s.Edge.Size == messages
		}, time.Minute, 10*time.Millisecond)
		b.StopTimer()
		cancel()
		require.NoError(b, <-done)
		b.StartTimer()
	}
	b.ReportMetric(messages*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
