// Package projectiontest specifies projections.Store as tests. A new store is correct when Run
// passes.
package projectiontest

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/representation"
)

const workspace domain.Workspace = "acme"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// integration returns an integration whose times follow from its name.
func integration(w domain.Workspace, name string) domain.Integration {
	at := noon
	for _, letter := range name {
		at = at.Add(time.Duration(letter) * time.Microsecond)
	}
	return domain.Integration{
		ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: at, UpdatedAt: at,
		Configuration: domain.Configuration{
			DisplayName: "The " + name, Protocol: domain.REST, BaseURL: "https://" + name + ".example.com", Enabled: true,
			Endpoints: []domain.Endpoint{{Name: "ping", Description: "Ping.", Path: "/ping", Method: "GET", InputSchema: json.RawMessage(`{"type":"object"}`)}},
		},
	}
}

// deleted returns i after its deletion.
func deleted(i domain.Integration) domain.Integration {
	return domain.Evolve(i, domain.IntegrationDeleted{ID: i.ID, Workspace: i.Workspace, Name: i.Name, Version: i.Version + 1, At: noon})
}

func at(position uint64, i domain.Integration) projections.Document {
	return projections.Document{Position: position, Integration: i}
}

// put applies documents, reaching the position of the last of them.
func put(t *testing.T, s projections.Store, documents ...projections.Document) {
	t.Helper()
	apply(t, s, projections.Batch{Documents: documents})
}

// apply applies b, reaching the highest position in it.
func apply(t *testing.T, s projections.Store, b projections.Batch) {
	t.Helper()
	for _, d := range b.Documents {
		b.Reached.Integrations = max(b.Reached.Integrations, d.Position)
	}
	for _, a := range b.Authorizations {
		b.Reached.Integrations = max(b.Reached.Integrations, a.Position)
	}
	for _, p := range b.Probes {
		b.Reached.Probes = max(b.Reached.Probes, p.Position)
	}
	require.NoError(t, s.Apply(t.Context(), b))
}

func get(t *testing.T, s projections.Store, i domain.Integration) projections.Integration {
	t.Helper()
	got, err := s.Get(t.Context(), i.Workspace, i.ID)
	require.NoError(t, err)
	answer, err := s.Answer(t.Context(), i.Workspace, i.ID)
	require.NoError(t, err)
	require.Equal(t, got.Version, answer.Version)
	require.Equal(t, answered(t, got), string(answer.Body))
	return got
}

// answered returns what the API answers of an integration.
func answered(t require.TestingT, i projections.Integration) string {
	var text strings.Builder
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	require.NoError(t, to.Encode(representation.Of(i.Integration, i.LastProbe.Shown())))
	return strings.TrimSuffix(text.String(), "\n")
}

// requireAnswers checks that the page of the answers for q is that of the integrations.
func requireAnswers(ctx context.Context, t require.TestingT, s projections.Store, w domain.Workspace, q projections.Query, of projections.Page) {
	page, err := s.Answers(ctx, w, q)
	require.NoError(t, err)
	for range 2 { // what a page releases is not that of another one
		other, err := s.Answers(ctx, w, q)
		require.NoError(t, err)
		for n, item := range other.Items {
			require.Equal(t, string(page.Items[n].Body), string(item.Body))
			clear(item.Body)
		}
		if other.Release != nil {
			other.Release()
		}
	}
	require.Equal(t, []any{of.HasMore, of.Next, of.Total, of.AtLeast}, []any{page.HasMore, page.Next, page.Total, page.AtLeast})
	require.Len(t, page.Items, len(of.Items))
	for n, i := range of.Items {
		require.Equal(t, i.Place(q.Sort), page.Items[n].Place(q.Sort))
		require.Equal(t, answered(t, i), string(page.Items[n].Body))
	}
}

func requireGone(t *testing.T, s projections.Store, w domain.Workspace, id domain.ID) {
	t.Helper()
	_, err := s.Get(t.Context(), w, id)
	require.Equal(t, domain.NoSuchIntegration(), err)
	_, err = s.Answer(t.Context(), w, id)
	require.Equal(t, domain.NoSuchIntegration(), err)
}

func list(t *testing.T, s projections.Store, w domain.Workspace, q projections.Query) projections.Page {
	t.Helper()
	page, err := s.List(t.Context(), w, q)
	require.NoError(t, err)
	requireAnswers(t.Context(), t, s, w, q, page)
	return page
}

// names lists everything that matches q in one page.
func names(t *testing.T, s projections.Store, w domain.Workspace, q projections.Query) []string {
	t.Helper()
	q.Limit = 200
	page := list(t, s, w, q)
	require.False(t, page.HasMore)
	require.Nil(t, page.Next)
	require.Equal(t, len(page.Items), page.Total)
	found := []string{}
	for _, i := range page.Items {
		found = append(found, i.Name)
	}
	return found
}

// sorts returns all orders of a listing.
func sorts() []projections.Sort {
	var all []projections.Sort
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		all = append(all, projections.Sort{By: by, Ascending: true}, projections.Sort{By: by})
	}
	return all
}

// Model is a store without a database, as the reference for listings.
type Model struct {
	documents map[domain.Ref]projections.Document
	probes    map[domain.Ref]projections.ProbeResult
}

func (m *Model) apply(b projections.Batch) {
	for _, d := range b.Documents {
		o := domain.Ref{Workspace: d.Integration.Workspace, ID: d.Integration.ID}
		if old, ok := m.documents[o]; !ok || d.Position > old.Position {
			m.documents[o] = d
		}
	}
	for _, p := range b.Probes {
		o := domain.Ref{Workspace: p.Workspace, ID: p.ID}
		if old, ok := m.probes[o]; !ok || cmp.Or(cmp.Compare(p.Incarnation, old.Incarnation), cmp.Compare(p.Position, old.Position)) > 0 {
			m.probes[o] = p
		}
	}
}

// list returns the page that answers q.
func (m *Model) list(w domain.Workspace, q projections.Query) projections.Page {
	rows, total := []projections.Integration{}, 0
	for o, d := range m.documents {
		if o.Workspace != w || d.Integration.Deleted || !q.Matches(d.Integration) {
			continue
		}
		total++
		if q.After != nil && q.Sort.Compare(q.Sort.KeyOf(d.Integration), *q.After) <= 0 {
			continue
		}
		row := projections.Integration{Integration: d.Integration}
		if p, ok := m.probes[o]; ok && p.Incarnation == d.Integration.Incarnation {
			row.LastProbe = &p.LastProbe
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b projections.Integration) int {
		return q.Sort.Compare(q.Sort.KeyOf(a.Integration), q.Sort.KeyOf(b.Integration))
	})
	if q.NoTotal {
		total = 0
	}
	if most := q.AtMost(); most > 0 {
		total = min(total, most)
	}
	return projections.NewPage(q, rows, q.Counted(total))
}

// walk reads every page of q and returns all items. It checks that each page follows the
// previous one in order.
func walk(ctx context.Context, t *testing.T, s projections.Store, w domain.Workspace, q projections.Query) []projections.Integration {
	t.Helper()
	var all []projections.Integration
	for {
		page, err := s.List(ctx, w, q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), q.Limit)
		all = append(all, page.Items...)
		if !page.HasMore {
			require.Nil(t, page.Next)
			return all
		}
		require.Len(t, page.Items, q.Limit)
		require.Equal(t, q.Sort.KeyOf(page.Items[q.Limit-1].Integration), *page.Next)
		q.After = page.Next
	}
}
