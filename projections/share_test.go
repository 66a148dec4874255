package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestOneOfTheProcessesThatShareAStoreWritesAndAnotherTakesOver(t *testing.T) {
	h, s := begin(t), store(t)
	js, err := jetstream.New(h.nc)
	require.NoError(t, err)
	readers := func() int { // of the log
		stream, err := js.Stream(t.Context(), "INTEGRATIONS")
		require.NoError(t, err)
		return stream.CachedInfo().State.Consumers
	}
	share := func(part projections.Mode) (*projections.Projector, func()) {
		p := &projections.Projector{Events: h.Store, Store: s, Mode: part, Log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		return p, func() { stop(); require.NoError(t, <-ended) }
	}
	first, endFirst := share(projections.Elected)
	crm := named(workspace, "crm")
	wait(t, first, h.record(t, crm, created(crm)))
	second, endSecond := share(projections.Elected)
	follower, endFollower := share(projections.ReadOnly)
	defer endFollower()
	all := []*projections.Projector{first, second, follower}
	for n := range 20 {
		i := named(workspace, fmt.Sprint("crm-", n))
		at := h.record(t, i, created(i))
		h.probe(t, i, domain.Healthy)
		for _, p := range all {
			wait(t, p, at)
		}
	}
	require.Equal(t, 1, readers(), "the others only read the positions of the store")

	endFirst()
	ehr := named(workspace, "ehr")
	at := h.record(t, ehr, created(ehr))
	for _, p := range all[1:] {
		wait(t, p, at)
	}
	endSecond()
	_, err = s.Get(t.Context(), workspace, ehr.ID)
	require.NoError(t, err)
}
