package main

import (
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/authservertest"
)

// consent has a person sign in for an integration, in a window of its own.
func (s *site) consent(admin string) {
	as := authservertest.New(s.T)
	s.call(admin, "POST", "/v1/acme/integrations", map[string]any{
		"name": "notes", "display_name": "Notes", "base_url": as.URL + "/api", "endpoints": []any{map[string]any{"name": "list", "description": "List the notes.", "method": "GET", "path": "/"}},
		"auth": map[string]any{
			"type": "oauth2_authorization_code", "client_id": "us", "client_secret_value": as.Secret, "client_auth_method": as.Method,
			"authorization_url": as.URL + "/authorize", "token_url": as.URL + "/token", "scopes": []string{"read"},
		},
	}, 201)
	at := s.url + "/console/acme/integrations/notes"
	watching := s.open(admin)
	watching.Go(at)
	require.Contains(s, watching.Text(`document.querySelector("#consent").innerText`), "Nobody has signed in yet")
	require.Contains(s, watching.Text(`document.querySelector("#redirect").innerText`), s.url+"/oauth/callback")
	s.sound(watching, "an integration that nobody has signed in to")
	watching.Do(`document.querySelector("[data-connect] button").click()`) // its window opens, and the page goes on to look
	watching.Until(`document.querySelector("#consent").innerText.includes("Somebody is signing in")`)
	s.sound(watching, "an integration that somebody signs in to")

	window := s.open(admin)
	window.Go(at)
	window.Do(`document.querySelector("[data-connect]").target = ""; document.querySelector("[data-connect]").removeAttribute("data-connect"); document.querySelector("form[action$='/consent'] button").click()`)
	require.Contains(s, window.Text("document.body.innerText"), "Permit access")
	window.Do(`document.querySelector("button").click()`)
	window.Until(`document.body.innerText.includes("You have signed in to")`)
	watching.Until(`document.querySelector("#consent").innerText.includes("has signed in")`)
	s.sound(watching, "an integration that somebody has signed in to")
	watching.Go(at + "/timeline")
	require.Contains(s, watching.Text(`document.querySelector(".lanes").innerText`), "Sign-ins")
	require.NotContains(s, watching.Text(`document.querySelector("#timeline").innerText`), "Disabled", "a sign-in is no change of the integration")
	s.sound(watching, "a timeline with a sign-in")
}
