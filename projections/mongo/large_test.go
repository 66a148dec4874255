package mongo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestDocumentsOf200KBAreListedAndReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	at, count := serverOf(t), uint64(50)
	if !at.real {
		count = 10
	}
	s, _ := at.watched(t)
	large := func(name string, version uint64) domain.Integration {
		i := named("acme", name)
		i.Version = version
		for n := range 50 {
			i.Endpoints = append(i.Endpoints, domain.Endpoint{
				Name: fmt.Sprint("get_", n), Description: strings.Repeat("é", 2000), Path: "/contacts", Method: "GET", InputSchema: json.RawMessage(`{"type":"object"}`),
			})
		}
		return i
	}
	encoded, err := projections.Encode(large("crm", 1))
	require.NoError(t, err)
	require.Greater(t, len(encoded), 200_000)
	for version := range uint64(2) {
		var b projections.Batch
		for n := range count {
			b.Documents = append(b.Documents, projections.Document{Position: version*count + n + 1, Integration: large(fmt.Sprintf("crm-%02d", n), version+1)})
		}
		b.Reached.Integrations = (version + 1) * count
		require.NoError(t, s.Apply(t.Context(), b))
		page, err := s.List(t.Context(), "acme", projections.Query{Limit: 50})
		require.NoError(t, err)
		require.Len(t, page.Items, int(count))
		for _, i := range page.Items {
			require.Equal(t, large(i.Name, version+1), i.Integration)
		}
	}
}

// On FerretDB there are fewer: it reads every document for a query.
func TestAWorkspaceOf100000IsPagedCountedAndSearched(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	at, count := serverOf(t), 100_000
	if !at.real {
		count = 200
		fmt.Fprintf(os.Stderr, "NOT TESTED: 100,000 integrations in a workspace of MongoDB. Set MONGODB_URI to a MongoDB server; here %d are tested on FerretDB.\n", count)
	}
	s, _ := at.watched(t)
	fill(t, s, "acme", count)
	fill(t, s, "other", 10)
	within := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt} {
		q := projections.Query{Sort: projections.Sort{By: by, Ascending: true}, Limit: 50}
		key := q.Sort.KeyOf(numbered("acme", count-120))
		q.After = &key
		for _, want := range []int{50, 50, 19} {
			page, err := s.List(within(), "acme", q)
			require.NoError(t, err)
			require.Len(t, page.Items, want)
			require.Equal(t, count, page.Total)
			q.After = page.Next
		}
		require.Nil(t, q.After, "that was the last page")
	}
	found, err := s.List(within(), "acme", projections.Query{Limit: 50, Filter: projections.Filter{Search: fmt.Sprintf("%06d", count-7)}})
	require.NoError(t, err)
	require.Equal(t, 1, found.Total)
	got, err := s.Get(within(), "acme", domain.NewID("acme", fmt.Sprintf("crm-%06d", count-1)))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("crm-%06d", count-1), got.Name)
}
