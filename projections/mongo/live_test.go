package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
)

// Two services start at once on an empty database, and switch to a generation that a tool
// builds, while they are read and written. The elected one of them writes, as in production:
// FerretDB does not update a document atomically, so that two writers could set its
// position back.
func TestServicesShareOneReadModelAndSwitchToAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	uri := ferrettest.Listen(t)
	events, err := eventstore.Open(t.Context(), natstest.Connect(t), eventstore.Config{AllowLazySync: true, Timeout: time.Minute})
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	record := func(w domain.Workspace, n int) uint64 {
		name := fmt.Sprint("crm-", n)
		i := domain.Integration{
			ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1,
			Configuration: domain.Configuration{DisplayName: name, Protocol: domain.REST, Endpoints: []domain.Endpoint{}},
		}
		at, err := events.Append(context.Background(), w, i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: name, At: time.Now()})
		if err != nil {
			t.Error(err)
		}
		return at
	}
	const stay = 10
	for n := range stay {
		record("acme", n)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running, load sync.WaitGroup
	services := make([]*projections.Live, 2)
	for n := range services {
		l := &projections.Live{Events: events, Generations: generations(t, uri, "live"), Mode: projections.Elected, Log: log, Every: 10 * time.Millisecond}
		services[n] = l
		running.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { require.NoError(t, l.Close()) })
	}
	patient, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, l := range services {
		require.NoError(t, l.Wait(patient, stay))
	}
	writing, done := context.WithCancel(patient)
	load.Go(func() {
		for n := 0; writing.Err() == nil; n++ {
			if err := services[n%2].Wait(patient, record("other", n)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, l := range services {
		load.Go(func() {
			for before := uint64(0); writing.Err() == nil; {
				at := l.Position()
				page, err := l.List(patient, "acme", projections.Query{Limit: 1})
				if err != nil || page.Total != stay || at < before {
					t.Errorf("%d of %d listed, position %d after %d, %v: %v", page.Total, stay, at, before, err, errors.Unwrap(err))
					return
				}
				before = at
			}
		})
	}
	for range 2 {
		built, err := (&projections.Builder{Events: events, Generations: generations(t, uri, "live"), Log: log}).Run(patient)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return services[0].Status().Generation == built.Generation && services[1].Status().Generation == built.Generation || t.Failed()
		}, time.Minute, 5*time.Millisecond)
	}
	done()
	load.Wait()
	stop()
	running.Wait()
}
