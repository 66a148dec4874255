package projectiontest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// assorted returns integrations that differ in every field for filters and sorting, with ties.
func assorted(w domain.Workspace) []projections.Document {
	var all []projections.Document
	for n := range 18 {
		i := integration(w, fmt.Sprintf("n%d-%c", n%5, 'a'+n))
		i.DisplayName = []string{"North Clinic", "south CLINIC", "Pharmacy"}[n%3]
		i.Protocol = domain.Protocols()[n/2%3]
		i.Enabled = n%4 != 0
		i.CreatedAt = noon.Add(time.Duration(n*7%5) * time.Microsecond)
		i.UpdatedAt = noon.Add(time.Duration(n*5%4) * time.Hour)
		all = append(all, at(uint64(n+1), i))
	}
	return all
}

func model(b projections.Batch) *Model {
	m := &Model{documents: map[domain.Ref]projections.Document{}, probes: map[domain.Ref]projections.ProbeResult{}}
	m.apply(b)
	return m
}

func filtersAndSorts(t *testing.T, s projections.Store) {
	all := projections.Batch{Documents: assorted(workspace)}
	all.Documents[0].Integration = deleted(all.Documents[0].Integration)
	m := model(all)
	apply(t, s, all)
	yes, no := true, false
	for _, enabled := range []*bool{nil, &yes, &no} {
		for _, protocol := range []domain.Protocol{"", domain.REST, domain.FHIR, domain.MCP} {
			for _, search := range []string{"", "CLINIC", "n1-", "nothing"} {
				for _, sort := range sorts() {
					q := projections.Query{Filter: projections.Filter{Enabled: enabled, Protocol: protocol, Search: search}, Sort: sort, Limit: 5}
					want, got := m.list(workspace, q), list(t, s, workspace, q)
					require.Equal(t, want, got, "%s %s %s", protocol, search, sort)
				}
			}
		}
	}
	require.Equal(t, m.list(workspace, projections.Query{Limit: 9, Sort: projections.Sort{By: projections.CreatedAt}}),
		list(t, s, workspace, projections.Query{Limit: 9}), "newest first is the default")
}

func searchesLiterally(t *testing.T, s projections.Store) {
	displayed := map[string]string{
		"plain": "Plain clinic", "percent": "100% sure", "under": "snake_case", "back": `C:\dir`, "dot": "v1.2 beta", "star": "a*b+c?",
		"brackets": "[x] (y) {z} ^$|", "umlaut": "ÄRZTE Straße", "greek": "ΣΊΣΥΦΟΣ", "kanji": "病院", "quote": `it's "so"`, "turkish": "İzmir", "null": "nul\x00l",
	}
	var b projections.Batch
	for name, display := range displayed {
		i := integration(workspace, name)
		i.DisplayName = display
		b.Documents = append(b.Documents, at(uint64(len(b.Documents)+1), i))
	}
	apply(t, s, b)
	m := model(b)
	for search, want := range map[string]string{
		"%": "percent", "0%": "percent", "_": "under", "e_c": "under", `\`: "back", `:\D`: "back", "1.2": "dot", "a*B": "star", "+c?": "star",
		"[X]": "brackets", "(y)": "brackets", "{Z}": "brackets", "^$|": "brackets", "ärzte": "umlaut", "STRASSE": "", "Straße": "umlaut",
		"σίσυφοσ": "greek", "病": "kanji", `'S "S`: "quote", "PLAIN": "plain", "plain clinic": "plain", "v1x2": "", "0_": "", "İz": "turkish", "\x00": "null",
	} {
		found := names(t, s, workspace, projections.Query{Filter: projections.Filter{Search: search}})
		if want == "" {
			require.Empty(t, found, search)
		} else {
			require.Equal(t, []string{want}, found, search)
		}
	}
	for _, search := range []string{"a", "E", "\xff", "b+", "(", "$"} {
		q := projections.Query{Filter: projections.Filter{Search: search}, Limit: 50}
		require.Equal(t, m.list(workspace, q), list(t, s, workspace, q), search)
	}
}

// countsASearch checks totals of searches that are counted up to a bound.
func countsASearch(t *testing.T, s projections.Store) {
	all := projections.Batch{Documents: assorted(workspace)}
	apply(t, s, all)
	m := model(all)
	for _, search := range []string{"clinic", "n1-", ""} {
		for _, bound := range []int{0, 1, 5, 11, 12, 13} {
			q := projections.Query{Filter: projections.Filter{Search: search}, CountTo: bound, Limit: 3}
			first := list(t, s, workspace, q)
			require.Equal(t, m.list(workspace, q), first, "%q up to %d", search, bound)
			q.After = first.Next
			require.Equal(t, m.list(workspace, q), list(t, s, workspace, q), "%q up to %d", search, bound)
		}
	}
	bounded := list(t, s, workspace, projections.Query{Filter: projections.Filter{Search: "clinic"}, CountTo: 5, Limit: 3})
	require.Equal(t, []any{5, true}, []any{bounded.Total, bounded.AtLeast})
	none := list(t, s, workspace, projections.Query{NoTotal: true, Limit: 3})
	require.Equal(t, []any{0, false}, []any{none.Total, none.AtLeast})
}

func pages(t *testing.T, s projections.Store) {
	all := projections.Batch{Documents: assorted(workspace)}
	m := model(all)
	apply(t, s, all)
	for _, sort := range sorts() {
		for _, limit := range []int{1, 4, 17, 18} {
			got := walk(t.Context(), t, s, workspace, projections.Query{Sort: sort, Limit: limit})
			require.Equal(t, m.list(workspace, projections.Query{Sort: sort, Limit: 50}).Items, got, "%s by %d", sort, limit)
		}
		beyond := projections.Query{Sort: sort, Limit: 5, After: &projections.Key{ID: "~"}}
		require.Equal(t, m.list(workspace, beyond), list(t, s, workspace, beyond), "a key that nothing has")
	}
}

// drawQuery draws from the same few values as drawBatch.
func drawQuery(t *rapid.T) projections.Query {
	optional := rapid.Ptr(rapid.Bool(), true)
	q := projections.Query{
		Filter: projections.Filter{
			Enabled:  optional.Draw(t, "enabled"),
			Protocol: rapid.SampledFrom([]domain.Protocol{"", "", domain.REST, domain.MCP}).Draw(t, "protocol"),
			Search:   rapid.SampledFrom([]string{"", "", "A", "b%", "."}).Draw(t, "search"),
		},
		Sort:    rapid.SampledFrom(sorts()).Draw(t, "sort"),
		Limit:   rapid.IntRange(1, 6).Draw(t, "limit"),
		CountTo: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "count to"),
	}
	if rapid.Bool().Draw(t, "later page") {
		after := q.Sort.KeyOf(drawIntegration(t))
		q.After = &after
	}
	return q
}

func drawIntegration(t *rapid.T) domain.Integration {
	w := rapid.SampledFrom([]domain.Workspace{workspace, "other"}).Draw(t, "workspace")
	i := integration(w, rapid.SampledFrom([]string{"aa", "ab", "b_", "ba", "c-c", "cc"}).Draw(t, "name"))
	i.Incarnation = rapid.Uint64Range(1, 3).Draw(t, "incarnation")
	i.DisplayName = rapid.SampledFrom([]string{"A", "b%", "B_", "ä.", "Ä"}).Draw(t, "display name")
	i.Protocol = rapid.SampledFrom([]domain.Protocol{domain.REST, domain.MCP}).Draw(t, "protocol")
	i.Enabled = rapid.Bool().Draw(t, "enabled")
	i.CreatedAt = noon.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "created")) * time.Microsecond)
	i.UpdatedAt = i.CreatedAt.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "updated")) * time.Microsecond)
	return i
}

// drawBatch draws a batch for two workspaces whose names end alike.
func drawBatch(t *rapid.T, ending domain.Workspace) projections.Batch {
	var b projections.Batch
	once := func(i domain.Integration) domain.Ref { return domain.Ref{Workspace: i.Workspace, ID: i.ID} }
	for _, i := range rapid.SliceOfNDistinct(rapid.Custom(drawIntegration), 0, 4, once).Draw(t, "documents") {
		if rapid.IntRange(0, 4).Draw(t, "deleted") == 0 {
			i = deleted(i)
		}
		i.Workspace += ending
		b.Documents = append(b.Documents, at(rapid.Uint64Range(1, 30).Draw(t, "position"), i))
	}
	for _, i := range rapid.SliceOfNDistinct(rapid.Custom(drawIntegration), 0, 2, once).Draw(t, "probes") {
		i.Workspace += ending
		b.Probes = append(b.Probes, probed(rapid.Uint64Range(1, 30).Draw(t, "position"), i, i.Incarnation, domain.Healthy))
	}
	return b
}

func agreesWithTheModel(t *testing.T, s projections.Store) {
	tried := 0
	rapid.Check(t, func(r *rapid.T) {
		tried++
		ending := domain.Workspace(fmt.Sprint("-", tried)) // those are empty
		m := model(projections.Batch{})
		for range rapid.IntRange(1, 6).Draw(r, "batches") {
			b := drawBatch(r, ending)
			m.apply(b)
			for range rapid.IntRange(1, 2).Draw(r, "times") {
				require.NoError(r, s.Apply(t.Context(), b))
			}
		}
		for n := range 3 {
			q := drawQuery(r)
			got, err := s.List(t.Context(), workspace+ending, q)
			require.NoError(r, err)
			require.Equal(r, m.list(workspace+ending, q), got)
			if n == 0 {
				requireAnswers(t.Context(), r, s, workspace+ending, q, got)
			}
			for _, i := range got.Items {
				one, err := s.Get(t.Context(), workspace+ending, i.ID)
				require.NoError(r, err)
				require.Equal(r, i, one)
			}
		}
	})
}

func listsWorkspaces(t *testing.T, s projections.Store) {
	all, err := s.Workspaces(t.Context(), "", 10)
	require.NoError(t, err)
	require.Empty(t, all)
	gone := integration("gone", "crm")
	put(t, s, at(1, integration("b", "crm")), at(2, integration("a", "crm")), at(3, integration("b", "ehr")), at(4, integration("B", "crm")), at(5, gone))
	put(t, s, at(6, deleted(gone)))
	want := []projections.WorkspaceSize{{Workspace: "B", Integrations: 1}, {Workspace: "a", Integrations: 1}, {Workspace: "b", Integrations: 2}}
	all, err = s.Workspaces(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, want, all)
	for n, after := range []domain.Workspace{"", "B", "a"} {
		page, err := s.Workspaces(t.Context(), after, 1)
		require.NoError(t, err)
		require.Equal(t, want[n:n+1], page)
	}
	all, err = s.Workspaces(t.Context(), "b", 10)
	require.NoError(t, err)
	require.Empty(t, all)
}
