package main

import (
	"github.com/stretchr/testify/require"
)

// approvals has somebody who may decide, and nothing else, look at what waits.
func (s *site) approvals() {
	agent, boss := s.issue("booking agent", "Integration.invoke"), s.issue("boss", "Integration.view", "Approval.decide")
	ask := func(id, colour string) string {
		got := s.call(agent, "POST", "/v1/acme/integrations/crm/endpoints/paint_thing/invoke", map[string]any{"params": map[string]any{"id": id, "colour": colour}}, 202)
		return got["approval"].(map[string]any)["id"].(string)
	}
	asked := s.asked.Load()
	tab := s.open(boss)
	tab.Do(`document.querySelector('.nav a[href$="/approvals"]').click()`)
	require.Contains(s, tab.Text("document.body.innerText"), "Nothing waits for a decision.")
	first := ask("42", "green")
	tab.Until(`document.querySelector("#fresh")`)
	require.Contains(s, tab.Text(`document.querySelector("#fresh").innerText`), "1 change")
	second := ask("43", "blue")
	tab.Go(s.url + "/console/acme/approvals")
	require.Equal(s, "/console/acme/approvals/"+first, tab.Text(`new URL(document.querySelector("tbody a").href).pathname`), "what waits longest is first")
	s.sound(tab, "approvals that wait")
	tab.Do(`document.querySelector("tbody a").click()`)
	page := tab.Text("document.body.innerText")
	require.Contains(s, page, `"colour": "green"`, "the exact parameters")
	require.Contains(s, page, s.upstream+"/things/42", "where they go")
	s.sound(tab, "an approval that waits")
	picture(s.T, tab, "console-approval.png", 640, false)
	require.Equal(s, asked, s.asked.Load(), "nothing was sent yet")
	press(tab, "button[value=approve]", "#reason", "She called.")
	tab.Until(`document.querySelector("#decided").innerText.includes("Made")`)
	require.Contains(s, tab.Text(`document.querySelector("#decided").innerText`), "She called.")
	require.Equal(s, asked+1, s.asked.Load(), "it was sent once")
	s.sound(tab, "an approval that was made")

	at := s.url + "/console/acme/approvals/" + second
	tab.Go(at)
	s.call(s.operator, "PUT", "/v1/acme/integrations/crm", map[string]any{"display_name": "Repainted"}, 200)
	press(tab, "button[value=approve]")
	require.Contains(s, tab.Text("document.querySelector('.problem').innerText"), "changed", "the approval is bound to the version that was shown")
	tab.Problems()
	s.sound(tab, "an approval whose integration has changed")
	press(tab, "button[value=deny]")
	require.Contains(s, tab.Text("document.querySelector('p.wrong').innerText"), "required")
	tab.See(360, 900, true)
	s.sound(tab, "an approval that was denied without a reason")
	press(tab, "button[value=deny]", "#reason", "Not blue.")
	require.Contains(s, tab.Text("document.querySelector('#decided').innerText"), "Not blue.")
	require.Equal(s, "denied", s.call(s.operator, "GET", "/v1/acme/approvals/"+second, nil, 200)["state"])
	require.Equal(s, asked+1, s.asked.Load())
	s.quiet(tab, "the tab of who decides")

	own := s.issue("both", "Integration.view", "Approval.decide", "Integration.invoke")
	got := s.call(own, "POST", "/v1/acme/integrations/crm/endpoints/paint_thing/invoke", map[string]any{"params": map[string]any{"id": "44", "colour": "red"}}, 202)
	tab = s.open(own)
	tab.Go(s.url + "/console/acme/approvals/" + got["approval"].(map[string]any)["id"].(string))
	require.Contains(s, tab.Text("document.body.innerText"), "The key that asked can't decide.")
	require.Equal(s, "0", tab.Text(`document.querySelectorAll("main form").length`))
}
