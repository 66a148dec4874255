package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestAnEndpointKeepsWhereItsParametersTravel(t *testing.T) {
	given := `{"name": "files", "display_name": "Files", "base_url": "https://files.example.com", "endpoints": [{
		"name": "upload", "description": "d", "method": "PUT", "path": "/f/{folder-id}{?tags*,q}",
		"headers": {"X-Trace": "{trace}"},
		"parameters": {
			"folder": {"in": "path", "name": "folder-id", "style": "label"},
			"match": {"in": "header", "name": "If-Match"},
			"sort": {"in": "query", "style": "deepObject", "explode": true, "allow_reserved": true},
			"session": {"in": "cookie"}
		},
		"body": {"format": "base64", "media_type": "image/png", "property": "file"}
	}]}`
	i := created(t, given)
	e := i.Endpoints[0]
	require.Equal(t, domain.Parameter{In: domain.InPath, Name: "folder-id", Style: "label"}, e.Parameters["folder"])
	require.True(t, *e.Parameters["sort"].Explode)
	require.Equal(t, &domain.Body{Format: domain.Base64Body, MediaType: "image/png", Property: "file"}, e.Body)
	require.Equal(t, []string{"folder-id"}, e.Placeholders())
	require.Equal(t, "folder", e.Property("folder-id"))
	require.Equal(t, map[string]bool{"tags": true, "q": false}, e.QueryTemplate())
	require.Equal(t, []string{"trace"}, e.HeaderPlaceholders())

	var schema struct {
		Properties map[string]any `json:"properties"`
		Required   []string       `json:"required"`
	}
	require.NoError(t, json.Unmarshal(i.Tools()[0].InputSchema, &schema))
	require.Equal(t, []string{"folder"}, schema.Required)
	for _, name := range []string{"folder", "tags", "q", "trace"} {
		require.Contains(t, schema.Properties, name)
	}
	require.NotContains(t, schema.Properties, "folder-id")
}

func TestTheBodySetsItsShortForm(t *testing.T) {
	for body, want := range map[string]string{`{"format": "form"}`: "form", `{"format": "multipart"}`: "json", `{}`: "json", `null`: "json"} {
		i := created(t, `{"name": "files", "display_name": "Files", "base_url": "https://files.example.com", "endpoints": [
			{"name": "e", "description": "d", "path": "/p", "body": `+body+`}]}`)
		require.Equal(t, want, i.Endpoints[0].BodyFormat, body)
	}
}

func TestAnMCPToolKeepsItsNameAndTravelsAsItIs(t *testing.T) {
	mcp := func(member string) string {
		return `{"name": "files", "display_name": "Files", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://files.example.com/mcp", "endpoints": [
			{"name": "file_read", "description": "d", "path": "", ` + member + `}]}`
	}
	require.Equal(t, "file.read", created(t, mcp(`"tool": "file.read"`)).Endpoints[0].Tool)
	for _, member := range []string{`"parameters": {"p": {"in": "query"}}`, `"body": {"format": "form"}`} {
		_, err := domain.Integration{}.Create("w", doc(t, mcp(member)), domain.Attempt{}, rules)
		require.ErrorContains(t, err, "travel as they are")
	}
}
