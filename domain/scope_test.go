package domain_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
)

func TestAScopeShowsWhatItsPatternsMatch(t *testing.T) {
	long := "an_endpoint_with_a_name_that_is_too_long_for_the_name_of_a_tool_of_an_llm"
	for _, row := range []struct {
		scope                         domain.Scope
		integration, endpoint, method string
		want                          bool
	}{
		{domain.Scope{}, "crm", "get_x", "GET", true},
		{domain.Scope{Integrations: []string{"crm"}}, "crm", "get_x", "DELETE", true},
		{domain.Scope{Integrations: []string{"crm"}}, "crm2", "get_x", "GET", false},
		{domain.Scope{Integrations: []string{"c*", "x"}}, "crm2", "get_x", "GET", true},
		{domain.Scope{Methods: []string{"GET", "PUT"}}, "crm", "get_x", "PUT", true},
		{domain.Scope{Methods: []string{"GET"}}, "crm", "get_x", "POST", false},
		{domain.Scope{Methods: []string{"GET"}}, "crm", "get_x", "", false},
		{domain.Scope{Tools: []string{"crm__get_*"}}, "crm", "get_x", "GET", true},
		{domain.Scope{Tools: []string{"crm__get_*"}}, "crm", "delete_x", "GET", false},
		{domain.Scope{Tools: []string{"crm__get_*"}}, "crm__get_y", "delete_x", "DELETE", false},
		{domain.Scope{Tools: []string{"crm__get_*"}}, "crm", "get_.x", "GET", true},
		{domain.Scope{Tools: []string{"*__get"}}, "crm", "get", "GET", true},
		{domain.Scope{Tools: []string{domain.ToolName("crm", long)}}, "crm", long, "GET", true},
		{domain.Scope{Tools: []string{domain.ToolName("crm", long)}}, "crm", long + "2", "GET", false},
		{domain.Scope{Tools: []string{"crm__*"}, Methods: []string{"GET"}}, "crm", "x", "POST", false},
		{domain.Scope{Tools: []string{"crm__*"}, Integrations: []string{"ehr"}}, "crm", "x", "GET", false},
	} {
		require.Equal(t, row.want, row.scope.Shows(row.integration, row.endpoint, row.method), "%+v", row)
	}
}

func TestAnIntegrationIsSeenWithItsVisibleEndpoints(t *testing.T) {
	i := domain.Integration{Name: "crm", Configuration: domain.Configuration{Endpoints: []domain.Endpoint{{Name: "get", Method: "GET"}, {Name: "put", Method: "PUT"}}}}
	seen, ok := domain.Scope{Methods: []string{"GET"}}.View(i)
	require.True(t, ok)
	require.Equal(t, i.Endpoints[:1], seen.Endpoints)
	require.Len(t, i.Endpoints, 2)
	require.Equal(t, "put", i.Endpoints[1].Name, "the integration is not changed")
	require.False(t, domain.Scope{Methods: []string{"DELETE"}}.Sees(i))
	require.False(t, domain.Scope{Methods: []string{"GET"}}.Sees(domain.Integration{Name: "crm"}))
	require.True(t, domain.Scope{Integrations: []string{"crm"}}.Sees(domain.Integration{Name: "crm"}))
}

func TestAScopeIsWithinOneThatShowsAllItShows(t *testing.T) {
	all := domain.Scope{}
	gets := domain.Scope{Tools: []string{"crm__get_*"}}
	crm := domain.Scope{Integrations: []string{"c*"}}
	for _, row := range []struct {
		narrow, wide domain.Scope
		want         bool
	}{
		{all, all, true},
		{gets, all, true},
		{all, gets, false},
		{gets, gets, true},
		{domain.Scope{Tools: []string{"crm__get_a", "crm__get_b*"}}, gets, true},
		{domain.Scope{Tools: []string{"crm__get_a", "ehr__get_b"}}, gets, false},
		{domain.Scope{Tools: []string{"*__get_a"}}, gets, false},
		{domain.Scope{Tools: []string{"crm__*"}}, gets, false},
		{domain.Scope{Tools: []string{"crm__get_a"}, Methods: []string{"GET"}}, gets, true},
		{domain.Scope{Methods: []string{"GET"}}, domain.Scope{Methods: []string{"GET", "PUT"}}, true},
		{domain.Scope{Methods: []string{"GET", "PUT"}}, domain.Scope{Methods: []string{"GET"}}, false},
		{domain.Scope{Integrations: []string{"crm"}}, crm, true},
		{domain.Scope{Integrations: []string{"*c"}}, crm, false},
		{gets, crm, false},
	} {
		require.Equal(t, row.want, row.narrow.Within(row.wide), "%+v within %+v", row.narrow, row.wide)
	}
	rapid.Check(t, func(rt *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(`[ab*]{1,4}`), 1, 3)
		narrow, wide := domain.Scope{Integrations: patterns.Draw(rt, "narrow")}, domain.Scope{Integrations: patterns.Draw(rt, "wide")}
		name := rapid.StringMatching(`[ab]{1,6}`).Draw(rt, "name")
		if narrow.Within(wide) && narrow.Named(name) {
			require.True(rt, wide.Named(name))
		}
	})
}

func TestAWrongScopeIsRefused(t *testing.T) {
	require.Empty(t, domain.Scope{Integrations: []string{"c*"}, Tools: []string{"crm__get_*"}, Methods: []string{"GET"}}.Problems())
	var at []string
	for _, p := range (domain.Scope{
		Integrations: []string{"", "[a]", "a b"}, Tools: []string{"crm", "crm__", "crm__a?"}, Methods: []string{"get", "HEAD"},
	}).Problems() {
		at = append(at, p.Pointer)
	}
	require.Equal(t, []string{"/integrations/0", "/integrations/1", "/integrations/2", "/tools/0", "/tools/1", "/tools/2", "/methods/0", "/methods/1"}, at)
	require.Len(t, domain.Scope{Methods: make([]string, 101)}.Problems(), 102)
}

func TestAContextWithoutAScopeShowsEverything(t *testing.T) {
	require.False(t, domain.ScopeOf(context.Background()).Narrow())
	s := domain.Scope{Methods: []string{"GET"}}
	require.Equal(t, s, domain.ScopeOf(context.WithoutCancel(domain.WithScope(t.Context(), s))))
}
