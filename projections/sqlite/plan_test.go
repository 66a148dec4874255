package sqlite

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestEveryListUsesAnIndex(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "plans.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	yes := true
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		for shape := range 1 << 5 {
			q := projections.Query{Sort: projections.Sort{By: by, Ascending: shape&1 != 0}, Limit: 50}
			if shape&2 != 0 {
				q.Enabled = &yes
			}
			if shape&4 != 0 {
				q.Protocol = domain.FHIR
			}
			if shape&8 != 0 {
				q.Search = "clinic"
			}
			if shape&16 != 0 {
				q.After = &projections.Key{ID: "x"}
			}
			l := newListing("acme", q, "i.answer, p.answer")
			page := plan(t, s, l.page, l.arguments)
			require.Contains(t, page, "USING INDEX integrations_by_"+string(by)+" (workspace=?", l.page)
			if q.After != nil {
				require.Contains(t, page, fmt.Sprintf("(%s", by), l.page)
			}
			count := plan(t, s, l.count, l.filter)
			if q.Search != "" {
				require.Contains(t, count, "USING COVERING INDEX", l.count)
			} else {
				require.Contains(t, count, "SEARCH i USING PRIMARY KEY (workspace=?", l.count)
			}
			count = strings.ReplaceAll(count, "SCAN (subquery-1)", "") // what the index has found
			for _, p := range []string{page, count} {
				require.NotContains(t, p, "SCAN", p)
				require.NotContains(t, p, "TEMP B-TREE", p)
			}
		}
	}
}

func plan(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	rows, err := s.reader.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	require.NoError(t, rows.Err())
	return strings.Join(steps, "\n")
}

func TestEveryListOfAuthorizationsUsesAnIndex(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "plans.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for index, f := range map[string]projections.AuthorizationFilter{
		"authorizations_by_created_at": {State: domain.IsAuthorized}, "authorizations_by_integration": {ID: "crm", State: domain.IsAuthorized, Binding: "b", Incarnation: 1},
		"authorizations_by_subject": {Subject: "s"}, "authorizations_by_account": {Account: "amy"},
	} {
		where, args := authorizationFilter("acme", f)
		page := plan(t, s, `SELECT a.document FROM authorizations a `+where+` ORDER BY a.created_at DESC, a.place DESC LIMIT 9`, args)
		require.Contains(t, page, "USING INDEX "+index+" (workspace=?", where)
		require.NotContains(t, page, "TEMP B-TREE", where)
	}
}

func TestAScheduleReadsAnIndexAndNoDocument(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "plans.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for query, want := range map[string]string{
		enabledPart: "SEARCH integrations USING COVERING INDEX integrations_by_name ((workspace,name,id)>(?,?,?))",
		probedPart:  "SEARCH probes USING PRIMARY KEY ((workspace,id)>(?,?))",
	} {
		args := []any{"acme", "crm", "id", schedulePart}
		require.Equal(t, want, plan(t, s, query, args[4-strings.Count(query, "?"):]))
	}
}
