package projectiontest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// pagesUnderChange reads pages while integrations come, change and go around a few that stay
// the same. Every walk must see those exactly once.
func pagesUnderChange(t *testing.T, s projections.Store) {
	var b projections.Batch
	for n := range 12 {
		b.Documents = append(b.Documents, at(uint64(n+1), placed(fmt.Sprintf("%c-stays", 'a'+n), n)))
	}
	apply(t, s, b)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var changing sync.WaitGroup
	changing.Go(func() {
		for position := uint64(100); ctx.Err() == nil; position++ {
			if err := s.Apply(context.WithoutCancel(ctx), projections.Batch{Documents: []projections.Document{change(position)}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, sort := range sorts() {
		for range 3 {
			seen := map[string]int{}
			for _, i := range walk(t.Context(), t, s, workspace, projections.Query{Sort: sort, Limit: 3}) {
				seen[i.Name]++
			}
			for _, d := range b.Documents {
				require.Equal(t, 1, seen[d.Integration.Name], "%s by %s", d.Integration.Name, sort)
			}
		}
	}
	stop()
	changing.Wait()
}

// placed returns an integration with a place in time among the others.
func placed(name string, place int) domain.Integration {
	i := integration(workspace, name)
	i.CreatedAt = noon.Add(time.Duration(place) * time.Second)
	i.UpdatedAt = i.CreatedAt
	return i
}

// change returns one of an endless series of creations, updates and deletions all over the
// listing.
func change(position uint64) projections.Document {
	n := int(position * 7 % 12)
	i := placed(fmt.Sprintf("%c-goes", 'a'+n), n)
	i.UpdatedAt = noon.Add(time.Duration(position*5%12) * time.Second)
	if position%3 == 0 {
		i = deleted(i)
	}
	return at(position, i)
}
