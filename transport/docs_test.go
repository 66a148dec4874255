package transport_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

func TestTheDocumentationNeedsOnlyThisService(t *testing.T) {
	t.Parallel()
	s := serve(t)
	page := s.send(request{method: "GET", path: "/docs", key: "none"}).is(200)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "script-src 'self'; ")
	needed := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.text, -1)
	require.Len(t, needed, 5)
	for _, file := range needed {
		require.NotEmpty(t, s.send(request{method: "GET", path: file[1], key: "none"}).is(200).text, file[1])
	}
	s.send(request{method: "GET", path: "/docs/swagger-ui.html", key: "none"}).is(404, "route_not_found")
}

func TestABrowserShowsTheDocumentation(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	s := serve(t)
	html, console := peers.Browse(t, s.url+"/docs")
	for _, shown := range []string{"/v1/{workspace_id}/integrations", "Create an integration", "Authorize", "Send events to other systems"} {
		require.Contains(t, html, shown)
	}
	require.Empty(t, console, "a script or a rule of the page failed")
}
