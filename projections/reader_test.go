package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

const workspace domain.Workspace = "acme"

func store(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "read.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func named(w domain.Workspace, name string) domain.Integration {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return domain.Integration{
		ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: at, UpdatedAt: at,
		Configuration: domain.Configuration{DisplayName: name, Protocol: domain.REST, Enabled: true, Endpoints: []domain.Endpoint{}},
	}
}

func TestBuiltinsAreReadLikeOtherIntegrations(t *testing.T) {
	s := store(t)
	r := projections.Reader{Store: s, Builtins: domain.BuiltinSettings{Disabled: []string{domain.GoogleSearch}}}
	id := domain.NewID(workspace, domain.GoogleMaps)
	got, err := r.Get(t.Context(), workspace, id)
	require.NoError(t, err)
	require.True(t, got.Builtin)
	require.Equal(t, domain.GoogleMaps, got.Name)
	require.Nil(t, got.LastProbe)

	seen := projections.LastProbe{Status: domain.Misconfigured, At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	require.NoError(t, s.Apply(t.Context(), projections.Batch{Probes: []projections.ProbeResult{{Position: 1, Workspace: workspace, ID: id, Incarnation: 1, LastProbe: seen}}}))
	got, err = r.Get(t.Context(), workspace, id)
	require.NoError(t, err)
	require.Equal(t, &seen, got.LastProbe)
	page, err := r.List(t.Context(), workspace, projections.Query{Filter: projections.Filter{Search: "MAPS"}, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, projections.Page{Items: []projections.Integration{got}, Total: 1}, page)

	_, err = r.Get(t.Context(), "other", id)
	require.Equal(t, domain.NoSuchIntegration(), err)
	_, err = r.Get(t.Context(), workspace, domain.NewID(workspace, "crm"))
	require.Equal(t, domain.NoSuchIntegration(), err)
}

// Every listing has the stored integrations and the built-ins, filtered, sorted and paged as
// if they were one set.
func TestBuiltinsAreListedLikeOtherIntegrations(t *testing.T) {
	s := store(t)
	settings := domain.BuiltinSettings{Disabled: []string{domain.GoogleSearch}}
	r := projections.Reader{Store: s, Builtins: settings}
	position, tried := uint64(0), 0
	rapid.Check(t, func(rt *rapid.T) {
		tried++
		workspace := domain.Workspace(fmt.Sprint("acme-", tried)) // it is empty
		everything := domain.Builtins(workspace, settings)
		since := everything[0].CreatedAt
		var b projections.Batch
		for n, before := range rapid.SliceOfN(rapid.IntRange(-2, 2), 0, 9).Draw(rt, "stored") {
			i := named(workspace, fmt.Sprintf("%s-%d", []string{"a", "google", "google-maps", "h", "z"}[before+2], n))
			i.CreatedAt = since.Add(time.Duration(before) * time.Microsecond)
			i.UpdatedAt = since.Add(time.Duration(-before) * time.Microsecond)
			i.Enabled = n%2 == 0
			position++
			b.Documents = append(b.Documents, projections.Document{Position: position, Integration: i})
			everything = append(everything, i)
		}
		require.NoError(rt, s.Apply(t.Context(), b))
		optional := rapid.Ptr(rapid.Bool(), true)
		q := projections.Query{
			Filter: projections.Filter{
				Enabled: optional.Draw(rt, "enabled"), Builtin: optional.Draw(rt, "builtin"),
				Protocol: rapid.SampledFrom([]domain.Protocol{"", domain.REST, domain.FHIR}).Draw(rt, "protocol"),
				Search:   rapid.SampledFrom([]string{"", "GOOGLE", "fhir", "-1"}).Draw(rt, "search"),
			},
			Sort: projections.Sort{
				By:        rapid.SampledFrom([]projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt}).Draw(rt, "by"),
				Ascending: rapid.Bool().Draw(rt, "ascending"),
			},
			Limit: rapid.IntRange(1, 13).Draw(rt, "limit"),
		}
		want := slices.DeleteFunc(everything, func(i domain.Integration) bool { return !q.Matches(i) })
		slices.SortFunc(want, func(a, b domain.Integration) int { return q.Sort.Compare(q.Sort.KeyOf(a), q.Sort.KeyOf(b)) })
		got := []domain.Integration{}
		for pages := 0; ; pages++ {
			page, err := r.List(t.Context(), workspace, q)
			require.NoError(rt, err)
			require.Equal(rt, len(want), page.Total)
			require.LessOrEqual(rt, pages, len(want))
			answers, err := r.Answers(t.Context(), workspace, q)
			require.NoError(rt, err)
			require.Equal(rt, []any{page.Total, page.HasMore, page.Next, len(page.Items)}, []any{answers.Total, answers.HasMore, answers.Next, len(answers.Items)})
			for n, i := range page.Items {
				got = append(got, i.Integration)
				require.Contains(rt, string(answers.Items[n].Body), `"name":"`+i.Name+`"`)
			}
			require.Equal(rt, len(got) < len(want), page.HasMore)
			require.Equal(rt, page.HasMore, page.Next != nil)
			if !page.HasMore {
				break
			}
			require.Len(rt, page.Items, q.Limit)
			q.After = page.Next
		}
		require.Equal(rt, namesOf(want), namesOf(got))
	})
}

func namesOf(all []domain.Integration) []string {
	names := make([]string, len(all))
	for n, i := range all {
		names[n] = i.Name
	}
	return names
}

func TestOrdersAreParsedAndFormatted(t *testing.T) {
	for text, want := range map[string]projections.Sort{
		"":            {By: projections.CreatedAt},
		"-created_at": {By: projections.CreatedAt},
		"created_at":  {By: projections.CreatedAt, Ascending: true},
		"+name":       {By: projections.Name, Ascending: true},
		"-updated_at": {By: projections.UpdatedAt},
	} {
		sort, err := projections.ParseSort(text)
		require.NoError(t, err)
		require.Equal(t, want, sort)
		again, err := projections.ParseSort(sort.String())
		require.NoError(t, err)
		require.Equal(t, sort, again)
	}
	for _, text := range []string{"id", "--name", "+-name", "Name", "-", " name", "name,id"} {
		_, err := projections.ParseSort(text)
		require.Equal(t, domain.Invalid, domain.KindOf(err), text)
	}
}

func TestNothingIsReadBeforeTheStoreHasCaughtUp(t *testing.T) {
	s := store(t)
	progress := &projections.Projector{} // has applied nothing
	r := projections.Reader{Store: s, CaughtUp: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		return progress.Wait(ctx, 1)
	}}
	_, err := r.Get(t.Context(), workspace, domain.NewID(workspace, "crm"))
	require.Equal(t, domain.Unavailable, domain.KindOf(err), "it isn't known not to exist")
	_, err = r.List(t.Context(), workspace, projections.Query{Limit: 1})
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	_, _, err = r.Tools(t.Context(), workspace, nil, 1)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}
