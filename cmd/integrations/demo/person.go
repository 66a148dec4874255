package demo

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	records       = "/v1/demo/integrations/records"
	authorization = records + "/authorizations/-"
)

// connectRecords integrates an MCP server that a person signs in to, and asks for the link.
func (t *tour) connectRecords(h *hospital) {
	t.do(exchange{
		title:  "An MCP server that only persons may use. It names its authorization server; ask for a link to sign in.",
		method: "POST", path: "/v1/demo/integrations", want: http.StatusCreated, brief: []string{},
		body: map[string]any{
			"name": "records", "display_name": "Records", "protocol": "mcp", "mcp_transport": "http", "mcp_url": h.url + recordsPath,
			"auth":      map[string]any{"type": "oauth2_authorization_code"},
			"endpoints": []any{map[string]any{"name": "my_next_visit", "description": "The next visit of the person.", "path": ""}},
		},
	})
	link := exchange{method: "POST", path: records + "/authorizations", want: http.StatusCreated, body: map[string]any{}, check: func(r reply) string {
		if link, _ := r.at("authorize_url").(string); link == "" {
			return "there should be a link"
		}
		return ""
	}}
	if t.exit { // else it is shown at the end
		link.brief = []string{"authorize_url"}
	}
	made := t.do(link)
	t.link, _ = made.at("authorize_url").(string)
}

// signIn follows the link as a person with a browser would.
func (t *tour) signIn() {
	if t.failed != nil {
		return
	}
	title, err := ClickThrough(t.ctx, t.link)
	if err != nil {
		t.fail(err)
		return
	}
	_, _ = fmt.Fprintf(t.out, "(a scripted browser follows the link, signs in and permits it: %q)\n", title)
	t.callRecords()
}

// callRecords calls as the agent, with the tokens of the person.
func (t *tour) callRecords() {
	t.do(exchange{
		method: "POST", path: records + "/endpoints/my_next_visit/invoke", asAgent: true, want: http.StatusOK, body: map[string]any{},
		check: wants("Ada visits on 2026-12-01 at 09:00.", "final_result"), brief: []string{"final_result"},
	})
}

// awaitPerson waits until somebody has signed in by the link, and then calls as the agent. It
// returns when that is done, or when the demo ends.
func (t *tour) awaitPerson() {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-ticks.C:
		}
		r, err := t.send(exchange{method: "GET", path: authorization}, io.Discard)
		if err != nil || r.at("state") != "authorized" {
			continue
		}
		r, err = t.send(exchange{method: "POST", path: records + "/endpoints/my_next_visit/invoke", asAgent: true, body: map[string]any{}}, io.Discard)
		if err == nil {
			_, _ = fmt.Fprintf(t.out, "\nYou have signed in. The agent calls records__my_next_visit: %v\n", r.at("final_result"))
		}
		return
	}
}
