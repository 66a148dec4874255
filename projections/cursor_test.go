package projections_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func cursors(t testing.TB, key byte) projections.Cursors {
	t.Helper()
	c, err := projections.NewCursors(bytes.Repeat([]byte{key}, 32))
	require.NoError(t, err)
	return c
}

func TestATokenOpensToItsPlace(t *testing.T) {
	c := cursors(t, 1)
	for _, key := range []projections.Key{{Name: "crm", ID: "x"}, {At: -5, ID: "y"}, {Name: "ä\x00\"", At: 1 << 60}} {
		for _, limit := range []int{1, 50} {
			token := c.Next("acme", projections.Query{Limit: 50}, &key)
			after, err := c.After("acme", projections.Query{Limit: limit}, token)
			require.NoError(t, err)
			require.Equal(t, &key, after)
			require.NotContains(t, token, "=")
			require.NotContains(t, token, "+")
			require.NotContains(t, token, "/")
		}
	}
	require.Empty(t, c.Next("acme", projections.Query{}, nil))
}

func TestNoTokenIsTheFirstPage(t *testing.T) {
	for _, token := range []string{"", "0"} {
		after, err := cursors(t, 1).After("acme", projections.Query{}, token)
		require.NoError(t, err)
		require.Nil(t, after)
	}
}

func TestATokenOfAnotherListingIsRefused(t *testing.T) {
	yes, no := true, false
	asked := projections.Query{Filter: projections.Filter{Enabled: &yes, Builtin: &no, Protocol: domain.REST, Search: "clinic"}, Limit: 5}
	token := cursors(t, 1).Next("acme", asked, &projections.Key{ID: "x"})
	for what, change := range map[string]func(*projections.Query){
		"enabled":     func(q *projections.Query) { q.Enabled = &no },
		"any enabled": func(q *projections.Query) { q.Enabled = nil },
		"swapped":     func(q *projections.Query) { q.Enabled, q.Builtin = q.Builtin, q.Enabled },
		"protocol":    func(q *projections.Query) { q.Protocol = domain.FHIR },
		"search":      func(q *projections.Query) { q.Search = "clinics" },
		"field":       func(q *projections.Query) { q.Sort.By = projections.Name },
		"direction":   func(q *projections.Query) { q.Sort = projections.Sort{By: projections.CreatedAt, Ascending: true} },
	} {
		other := asked
		change(&other)
		requireMismatch(t, cursors(t, 1), "acme", other, token, what)
	}
	requireMismatch(t, cursors(t, 1), "other", asked, token, "workspace")
	requireMismatch(t, cursors(t, 2), "acme", asked, token, "key")

	same := asked
	same.Sort, same.Search = projections.Sort{By: projections.CreatedAt}, "CLINIC"
	_, err := cursors(t, 1).After("acme", same, token)
	require.NoError(t, err, "the same listing, written differently")
}

func requireMismatch(t *testing.T, c projections.Cursors, w domain.Workspace, q projections.Query, token, what string) {
	t.Helper()
	_, err := c.After(w, q, token)
	var refusal *domain.Error
	require.ErrorAs(t, err, &refusal, what)
	require.Equal(t, domain.Invalid, refusal.Kind, what)
	require.Equal(t, "token_mismatch", refusal.Code, what)
	require.Equal(t, "/continuation_token", refusal.Problems[0].Pointer, what)
}

func TestScopesWithTheSameConcatenationDiffer(t *testing.T) {
	c := cursors(t, 1)
	token := c.Seal([]byte("place"), "history", "ab", "c")
	for _, other := range [][]string{{"history", "a", "bc"}, {"historyab", "c"}, {"history", "ab", "c", ""}, nil} {
		_, err := c.Open(token, other...)
		require.Error(t, err)
	}
	place, err := c.Open(token, "history", "ab", "c")
	require.NoError(t, err)
	require.Equal(t, "place", string(place))
}

func TestAKeyOfAnotherLengthIsRefused(t *testing.T) {
	_, err := projections.NewCursors([]byte("short"))
	require.Error(t, err)
}

// Any token that was not issued is refused.
func FuzzToken(f *testing.F) {
	c := cursors(f, 1)
	token := c.Next("acme", projections.Query{}, &projections.Key{ID: "x"})
	for _, seed := range []string{"", "0", "1", "!", "AA", token, token[1:], token[:len(token)-1], token + "A", strings.ToLower(token), strings.Repeat("A", 5000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		after, err := c.After("acme", projections.Query{}, sent)
		switch {
		case sent == "" || sent == "0":
			require.NoError(t, err)
			require.Nil(t, after)
		case err != nil:
			require.Equal(t, domain.Invalid, domain.KindOf(err))
		default:
			require.Equal(t, &projections.Key{ID: "x"}, after)
		}
	})
}
