package streams_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

func on(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func three(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: name, Subjects: []string{name + ".*"}, AllowDirect: true, Replicas: 3}
}

// The server that a client is connected to may learn that a stream exists before it
// learns which server leads it.
func TestAStreamOfAClusterAnswersOnceItIsOpen(t *testing.T) {
	c := natstest.NewCluster(t)
	for n := range 10 {
		js := on(t, c.Connect(t, n%3))
		stream, err := streams.Ensure(t.Context(), js, three(fmt.Sprint("S", n)))
		require.NoError(t, err)
		_, err = stream.GetLastMsgForSubject(t.Context(), fmt.Sprint("S", n, ".first"))
		require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
		bucket, err := streams.EnsureBucket(t.Context(), js, jetstream.KeyValueConfig{Bucket: fmt.Sprint("B", n), Replicas: 3})
		require.NoError(t, err)
		_, err = bucket.Get(t.Context(), "first")
		require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
	}
}

func TestAClusterThatHasNoLeaderIsWaitedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	js := on(t, c.Connect(t, 0))
	_, err := streams.Ensure(t.Context(), js, three("MADE"))
	require.NoError(t, err)
	c.Stop(1)
	c.Stop(2)

	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = streams.Ensure(soon, js, three("NEW"))
	require.ErrorIs(t, err, context.DeadlineExceeded, "one server of three can't create a stream, and a caller need not wait")

	var waiting errgroup.Group
	for _, name := range []string{"MADE", "NEW"} {
		waiting.Go(func() error {
			_, err := streams.Ensure(t.Context(), js, three(name))
			return err
		})
	}
	c.Start(t, 1)
	c.Start(t, 2)
	require.NoError(t, waiting.Wait())
}

func TestConcurrentCallersAllOpenTheStream(t *testing.T) {
	js := on(t, natstest.Connect(t))
	var racing errgroup.Group
	for range 16 {
		racing.Go(func() error {
			_, err := streams.Ensure(t.Context(), js, jetstream.StreamConfig{Name: "S"})
			return err
		})
		racing.Go(func() error {
			_, err := streams.EnsureBucket(t.Context(), js, jetstream.KeyValueConfig{Bucket: "B"})
			return err
		})
	}
	require.NoError(t, racing.Wait())
}

func TestAnExistingStreamKeepsItsConfiguration(t *testing.T) {
	js := on(t, natstest.Connect(t))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, MaxMsgs: 7})
	require.NoError(t, err)
	stream, err := streams.Ensure(t.Context(), js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	require.NoError(t, err)
	require.Equal(t, int64(7), stream.CachedInfo().Config.MaxMsgs)
	require.Equal(t, []string{"s.*"}, stream.CachedInfo().Config.Subjects)
}

// A permanent error is returned before the caller gives up.
func TestAPermanentErrorIsReturnedImmediately(t *testing.T) {
	js := on(t, natstest.Connect(t))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := streams.Ensure(ctx, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"$JS.API.>"}})
	_, refused := errors.AsType[*jetstream.APIError](err)
	require.True(t, refused, err)
	require.ErrorContains(t, err, "stream S: ")
}

// Cut off, a leader goes on answering for a while as if it led. The others have another
// leader by then, and what that one has acknowledged counts.
func TestALeaderThatIsCutOffIsNotBelieved(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	near, far := on(t, c.Connect(t, 0)), on(t, c.Connect(t, 2))
	_, err := streams.Ensure(t.Context(), near, three("LOG"))
	require.NoError(t, err)
	c.LeadLast(t, "LOG")
	require.Eventually(t, func() bool {
		_, err := near.Publish(t.Context(), "LOG.a", nil)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	last := func(js jetstream.JetStream) (uint64, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		info, err := streams.Info(ctx, js, "LOG")
		if err != nil {
			return 0, err
		}
		return info.State.LastSeq, nil
	}
	before, err := last(far)
	require.NoError(t, err)

	c.CutOff()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := near.Publish(ctx, "LOG.a", nil)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond, "the others elect another leader")
	asked, err := far.Stream(t.Context(), "LOG")
	require.NoError(t, err)
	require.Equal(t, before, asked.CachedInfo().State.LastSeq, "the server itself answers with what it had")
	_, err = last(far)
	require.ErrorIs(t, err, streams.ErrNoLeader)

	c.Mend()
	for {
		at, err := last(far)
		if err == nil {
			require.Greater(t, at, before)
			return
		}
	}
}
