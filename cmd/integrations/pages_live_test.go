package main

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// liveTimeline looks at a timeline while the upstream breaks.
func (s *site) liveTimeline(tab *peers.Tab) {
	tab.Go(s.url + "/console/acme/integrations/crm/timeline?from=-15m")
	tab.Eval(`document.querySelector(".zoom a").id = "focused"; document.querySelector(".zoom a").focus()`, nil)
	s.broken.Store(true)
	broke := time.Now()
	s.call(s.operator, "POST", "/v1/acme/integrations/crm/test-connection", nil, 200)
	tab.Until(`document.querySelector(".verdict").innerText.startsWith("Failing since") && document.querySelector("svg[data-from] .onset")`)
	s.Logf("the mark of a broken upstream appeared %s after it broke", time.Since(broke).Round(time.Millisecond))
	require.Contains(s, tab.Text(`document.querySelector(".verdict").innerText`), "Sign-in refused")
	require.Equal(s, "-15m", tab.Text(`new URL(document.querySelector("svg[data-from] a").getAttribute("href"), location).searchParams.get("from")`), "links are those of the page")
	s.sound(tab, "the timeline while it breaks")
	s.broken.Store(false)
	s.call(s.operator, "POST", "/v1/acme/integrations/crm/test-connection", nil, 200)
	tab.Until(`document.querySelector(".verdict").innerText.startsWith("Healthy")`)
	before := tab.Text(`document.querySelector(".legend").innerText.match(/(\d+) calls?,/)[1]`)
	s.call(s.operator, "POST", "/v1/acme/integrations/crm/endpoints/get_thing/test", map[string]any{"params": map[string]any{"id": "9"}}, 200)
	tab.Until(`document.querySelector(".legend").innerText.match(/(\d+) calls?,/)[1] > ` + before)
	tab.Go(s.url + "/console/acme/integrations")
	require.Regexp(s, `\d+ of \d+ probes\s+\d+ calls`, tab.Text(`document.querySelector("tbody a[href$='/crm']").closest("tr").innerText`))
	s.sound(tab, "the list with its last 24 hours")
	tab.Go(s.url + "/console/acme/timeline?from=-15m")
	s.call(s.operator, "PUT", "/v1/acme/integrations/crm", map[string]any{"display_name": "Renamed live"}, 200)
	tab.Until(`document.querySelector("#timeline tbody").innerText.includes("display_name")`)
	s.sound(tab, "the timeline of the workspace")
}
