package streams_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

// The server loses some that are not removed, if it is asked to purge the stream without a subject.
func TestMessagesStayThatArriveWhileEarlierOnesAreRemoved(t *testing.T) {
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "WORK", Subjects: []string{"work.*"}, AllowDirect: true})
	require.NoError(t, err)
	const writers, each = 24, 500
	data := make([]byte, 1500)
	var (
		writing, removing sync.WaitGroup
		mu                sync.Mutex
		done              = map[uint64]bool{}
		ended             = make(chan struct{})
	)
	for writer := range writers {
		writing.Go(func() {
			for range each {
				if rand.IntN(20) == 0 {
					time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // so that the stream is empty at times
				}
				ack, err := js.Publish(t.Context(), fmt.Sprint("work.", writer), data)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := stream.GetMsg(t.Context(), ack.Sequence); err != nil {
					t.Error(ack.Sequence, err)
					return
				}
				if rand.IntN(3) > 0 {
					if err := streams.Delete(t.Context(), js, stream, ack.Sequence); err != nil {
						t.Error(ack.Sequence, err)
						return
					}
				}
				mu.Lock()
				done[ack.Sequence] = true
				mu.Unlock()
			}
		})
	}
	removing.Go(func() {
		pause := time.NewTicker(50 * time.Millisecond) // so that it has many to remove
		defer pause.Stop()
		for low := uint64(0); ; <-pause.C {
			before := low
			mu.Lock()
			for done[low+1] {
				low++
			}
			mu.Unlock()
			if low > before {
				if err := streams.PurgeUpTo(t.Context(), stream, "work.*", low); err != nil {
					t.Error(err)
					return
				}
			}
			select {
			case <-ended:
				if low == before {
					return
				}
			default:
			}
		}
	})
	writing.Wait()
	close(ended)
	removing.Wait()
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(writers*each), info.State.LastSeq)
	require.Zero(t, info.State.Msgs)
}
