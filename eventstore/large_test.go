package eventstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// A server closes a connection with more than 64 MiB waiting to be sent.
func TestAHundredLargeEventsAreReadByEveryMethod(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	nc := natstest.Connect(t)
	s, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true, Timeout: time.Minute}) // reading is slow under the race detector
	require.NoError(t, err)
	const events = 76
	description := strings.Repeat("d", 900_000)
	for n := range events {
		name := fmt.Sprint("crm-", n)
		i := domain.Integration{ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: 1}
		i.Endpoints = []domain.Endpoint{{Name: "list", Description: description}}
		_, err := s.Append(t.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(name))
		require.NoError(t, err)
	}
	of := eventstore.Selection{Workspace: "acme"}

	read := 0
	for after, more := uint64(0), true; more; {
		page, next, err := s.Page(t.Context(), of, after, 200)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		require.Less(t, len(page), 40, "a page has a bounded size")
		read, after, more = read+len(page), page[len(page)-1].Position, next
	}
	require.Equal(t, events, read)

	page, more, err := s.PageBefore(t.Context(), of, 0, 200)
	require.NoError(t, err)
	require.True(t, more)
	require.Less(t, len(page), 40, "a page has a bounded size")
	require.EqualValues(t, events, page[0].Position)

	read = 0
	latest, err := s.Latest(t.Context())
	require.NoError(t, err)
	for batch, err := range latest.Commits {
		require.NoError(t, err)
		read += len(batch)
	}
	require.Equal(t, events, read)

	read = 0
	for batch, err := range s.After(t.Context(), 0) {
		require.NoError(t, err)
		for _, c := range batch {
			read++
			require.EqualValues(t, read, c.Position)
		}
		if read == events {
			break
		}
	}

	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			if _, _, err := s.Page(t.Context(), of, 0, 200); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	require.Zero(t, nc.Stats().Reconnects, "the connection held")
}
