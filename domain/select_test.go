package domain

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASelectTakesWhatEachOfItsListsTakes(t *testing.T) {
	pet := Candidate{Name: "get_pet", Description: "Get a pet.", Method: "GET", Path: "/pets/{id}", Tags: []string{"Pets", "public"}, ResourceType: "Patient", Interaction: "read"}
	for _, c := range []struct {
		given Select
		taken bool
	}{
		{Select{}, true},
		{Select{Search: "A PET"}, true},
		{Select{Search: "{id}"}, true},
		{Select{Search: "dog"}, false},
		{Select{Methods: []string{"post", "get"}}, true},
		{Select{Methods: []string{"post"}}, false},
		{Select{Tags: []string{"pets"}}, true},
		{Select{Tags: []string{"private"}}, false},
		{Select{Paths: []string{"/pets/{id}"}}, true},
		{Select{Paths: []string{"/pets*"}}, true},
		{Select{Paths: []string{"*/{id}"}}, true},
		{Select{Paths: []string{"/*s/*"}}, true},
		{Select{Paths: []string{"/pets"}}, false},
		{Select{Paths: []string{"/*s/*x"}}, false},
		{Select{Names: []string{"list", "get_*"}}, true},
		{Select{Names: []string{"*get_petx"}}, false},
		{Select{ResourceTypes: []string{"Patient"}, Interactions: []string{"read"}}, true},
		{Select{ResourceTypes: []string{"Patient"}, Interactions: []string{"create"}}, false},
		{Select{Search: "pet", Methods: []string{"DELETE"}}, false},
	} {
		require.Equal(t, c.taken, c.given.Matches(pet), "%+v", c.given)
	}
	require.False(t, Select{Tags: []string{"pets"}}.Matches(Candidate{}))
	require.False(t, Select{Names: []string{"aa*aa"}}.Matches(Candidate{Name: "aaa"}), "what one part takes is not left for another")
}

func TestASelectIsReadWithEveryProblem(t *testing.T) {
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(`{"search": "pet", "tags": ["a"], "methods": ["GET"], "paths": ["/a"], "names": ["b"], "resource_types": ["Patient"], "interactions": ["read"]}`), &members))
	s, problems := ReadSelect(members, "/select")
	require.Empty(t, problems)
	require.Equal(t, Select{"pet", []string{"a"}, []string{"GET"}, []string{"/a"}, []string{"b"}, []string{"Patient"}, []string{"read"}}, s)
	_, problems = ReadSelect(map[string]any{"search": 1, "tags": "a", "names": []any{1}, "path": "/a"}, "/select")
	var places []string
	for _, p := range problems {
		places = append(places, p.Pointer)
	}
	require.ElementsMatch(t, []string{"/select/search", "/select/tags", "/select/names/0", "/select/path"}, places)
}
