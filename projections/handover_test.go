package projections_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// applied notes what is applied to a store.
type applied struct {
	projections.Store
	mu  sync.Mutex
	all []projections.Batch
}

func (a *applied) Apply(ctx context.Context, b projections.Batch) error {
	err := a.Store.Apply(ctx, b)
	if err == nil && b.Reached.Integrations > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = append(a.all, b)
	}
	return err
}

// Half of the events are handed over, the others are read from the log only.
func TestEventsThatAreHandedOverAreAppliedOnceAndInOrder(t *testing.T) {
	const writers, each = 8, 30
	h := begin(t)
	other, err := eventstore.Open(t.Context(), h.nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	s := &applied{Store: store(t)}
	p, stop := project(t, h, s)
	var writing errgroup.Group
	for writer := range writers {
		through := []*eventstore.Store{h.Store, other}[writer%2]
		writing.Go(func() error {
			for n := range each {
				name := fmt.Sprintf("crm-%d-%d", writer, n)
				i := named(workspace, name)
				at, err := through.Append(t.Context(), i.Workspace, i.ID, 0, created(i), domain.Metadata{At: i.UpdatedAt, CommandID: name})
				if err != nil {
					return err
				}
				if err := p.Wait(t.Context(), at); err != nil {
					return err
				}
				if _, err := s.Get(t.Context(), workspace, i.ID); err != nil {
					return fmt.Errorf("it is waited for, and not shown: %w", err)
				}
			}
			return nil
		})
	}
	require.NoError(t, writing.Wait())
	stop()
	next := uint64(1)
	for _, b := range s.all {
		require.Equal(t, next-1, b.From.Integrations)
		for _, d := range b.Documents {
			require.Equal(t, next, d.Position)
			next++
		}
	}
	require.Equal(t, uint64(writers*each+1), next)
}
