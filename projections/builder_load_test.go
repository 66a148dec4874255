package projections_test

import (
	"context"
	"iter"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

func TestALogThatGivesFewerEventsThanItHasIsReadAgain(t *testing.T) {
	all := []eventstore.Commit{}
	for n, name := range []string{"crm", "ehr", "fax"} {
		id := domain.NewID("acme", name)
		all = append(all, eventstore.Commit{Position: uint64(n + 1), Workspace: "acme", ID: id, Event: domain.IntegrationCreated{
			Integration: domain.Integration{ID: id, Workspace: "acme", Name: name, Version: 1, Incarnation: 1},
		}})
	}
	for sentence, c := range map[string]struct {
		gives    []int // at each reading
		complete bool
		read     int
		missing  bool
	}{
		"all at once":                          {gives: []int{3}, complete: true, read: 1},
		"one was skipped":                      {gives: []int{2, 3}, complete: true, read: 2},
		"one is always skipped":                {gives: []int{2, 2, 2, 3}, complete: true, read: 3, missing: true},
		"some were dropped, as they may be":    {gives: []int{1}, read: 1},
		"more were recorded while it was read": {gives: []int{4}, complete: true, read: 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			b, built, read := &projections.Builder{Log: slog.New(slog.DiscardHandler)}, projections.Built{}, 0
			store := store(t)
			position, err := b.LoadAll(t.Context(), store, func(context.Context) (eventstore.Latest, error) {
				gives := c.gives[read]
				read++
				return eventstore.Latest{Known: 3, Position: 3, Commits: yielding(append(all, all[0])[:gives])}, nil
			}, c.complete, &built)
			require.Equal(t, c.read, read)
			if c.missing {
				require.ErrorIs(t, err, projections.ErrMissed)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, 3, position)
			page, err := store.List(t.Context(), "acme", projections.Query{Limit: 9})
			require.NoError(t, err)
			require.Len(t, page.Items, min(3, c.gives[read-1]))
			require.Equal(t, min(3, c.gives[read-1]), built.Integrations, "each is counted once")
		})
	}
}

func yielding(commits []eventstore.Commit) iter.Seq2[[]eventstore.Commit, error] {
	return func(yield func([]eventstore.Commit, error) bool) { yield(commits, nil) }
}
