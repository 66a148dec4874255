package toolsearch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolsearch"
)

// clinic returns the tools of a few integrations, among many others.
func clinic() []domain.Tool {
	var all []domain.Tool
	add := func(integration, display string, endpoints ...domain.Endpoint) {
		i := domain.Integration{}
		i.Name, i.DisplayName, i.Endpoints = integration, display, endpoints
		all = append(all, i.Tools()...)
	}
	for n := range 30 {
		add(fmt.Sprintf("other%d", n), "Warehouse", domain.Endpoint{Name: "listShelves", Description: "Lists the shelves of a hall.", InputSchema: json.RawMessage(`{}`)})
	}
	add("crm", "Customers", domain.Endpoint{Name: "listContacts", Description: "Finds people.", InputSchema: json.RawMessage(`{"properties":{"company":{}}}`)},
		domain.Endpoint{Name: "deleteContact", Description: "Removes a person for good.", InputSchema: json.RawMessage(`{}`)})
	add("scheduling", "Appointments", domain.Endpoint{Name: "book_slot", Description: "Books an appointment with a doctor.", InputSchema: json.RawMessage(`{"properties":{"day":{}}}`)})
	return all
}

func TestToolsAreRankedByTheWordsOfAQuery(t *testing.T) {
	tools := clinic()
	for query, want := range map[string]string{
		"book an appointment":      "scheduling__book_slot",
		"booking":                  "scheduling__book_slot",
		"contact delete":           "crm__deleteContact",
		"deleteContact":            "crm__deleteContact",
		"people by company":        "crm__listContacts",
		"crm__listContacts":        "crm__listContacts",
		`list" OR contacts* NEAR(`: "crm__listContacts",
	} {
		got, err := toolsearch.Rank(t.Context(), tools, query, 5)
		require.NoError(t, err, query)
		require.NotEmpty(t, got, query)
		require.Equal(t, want, tools[got[0]].Name, query)
		require.LessOrEqual(t, len(got), 5)
	}
	for _, query := range []string{"", "  ", "***", "weather"} {
		got, err := toolsearch.Rank(t.Context(), tools, query, 5)
		require.NoError(t, err)
		require.Empty(t, got, query)
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := toolsearch.Rank(ctx, clinic(), "contacts", 5)
	require.Error(t, err)
}
