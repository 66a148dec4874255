package eventstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// requireConsumers waits until a stream has so many consumers.
func requireConsumers(t *testing.T, js jetstream.JetStream, stream string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), stream)
		return err == nil && s.CachedInfo().State.Consumers == want
	}, time.Minute, 10*time.Millisecond)
}

// The server does some work for each consumer of a stream whenever a message is stored.
func TestAReaderLeavesNoConsumerBehind(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	appendTo(t, s, 0, changed(1), "1")
	for range 3 {
		for _, err := range s.After(t.Context(), 0) {
			require.NoError(t, err)
			break
		}
		for _, err := range s.Messages(t.Context(), eventstore.StreamOfIntegrations, ">", 0, 1) {
			require.NoError(t, err)
		}
	}
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 0)

	reading, end := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for _, err := range s.After(reading, 1) {
			t.Error("there is nothing to read", err)
		}
	}()
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 1)
	end()
	<-ended
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 0)
}
