package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// keysPage: an operator came to see which keys there are and which nobody uses, and to make or end one.
type keysPage struct {
	Items       []apiKey
	Permissions []permission
	Agent       bool // a key for an agent is wanted
	Form        url.Values
	New         *apiKey // that was just made
}

// permission is what a key may be given, in words.
type permission struct{ Name, Words string }

// permissions are those that the API has.
var permissions = []permission{
	{"Integration.view", "see integrations, calls and events; probe and test"},
	{"Integration.invoke", "call endpoints, as agents do"},
	{"Integration.create", "create integrations"},
	{"Integration.update", "change integrations"},
	{"Integration.delete", "delete integrations"},
	{"Integration.exec", "start programs of MCP over stdio, on top of these"},
	{"Connection.authorize", "have persons sign in"},
	{"Connection.use", "call on behalf of a person"},
	{"Webhook.manage", "manage webhooks"},
	{"ApiKey.manage", "manage keys"},
	{"Workspace.admin", "everything in this workspace"},
}

// Stale reports whether nobody has used the key for 90 days.
func (k apiKey) Stale(now time.Time) bool {
	used := k.CreatedAt
	if k.LastUsedAt != nil {
		used = *k.LastUsedAt
	}
	return now.Sub(used) > 90*24*time.Hour
}

// Now is the time of the page.
func (p *page) Now() time.Time { return p.now() }

func (p *page) keys(d keysPage) error {
	p.Nav = "keys"
	var got struct {
		Items []apiKey `json:"items"`
	}
	if err := p.get("/api-keys", nil, &got); err != nil {
		return err
	}
	slices.SortFunc(got.Items, func(a, b apiKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	d.Items = got.Items
	for _, one := range permissions {
		if p.Me.May(one.Name) { // a key can't give more than it has
			d.Permissions = append(d.Permissions, one)
		}
	}
	return p.render("keys", "Keys", d)
}

func showKeys(p *page) error {
	return p.keys(keysPage{Agent: p.Query("for") == "agent", Form: url.Values{}})
}

func createKey(p *page) error {
	if err := p.r.ParseForm(); err != nil {
		return err
	}
	form := p.r.Form
	body := map[string]any{"name": form.Get("name"), "permissions": form["permission"]}
	if form["permission"] == nil {
		body["permissions"] = []string{}
	}
	if days := form.Get("days"); days != "" {
		body["duration_days"] = number(days)
	}
	for _, name := range []string{"integrations", "tools", "methods"} {
		if patterns := strings.Fields(form.Get(name)); len(patterns) > 0 {
			body[name] = patterns
		}
	}
	return p.onceKey("/api-keys", body)
}

// onceKey makes or rotates a key, and shows its text once: only this answer has it.
func (p *page) onceKey(path string, body any) error {
	d := keysPage{Form: p.r.Form, New: &apiKey{}}
	err := p.post(path, body, d.New)
	if refused, ok := errors.AsType[*problem](err); ok {
		p.Problem, d.New = refused, nil
	} else if err != nil {
		return err
	}
	return p.keys(d)
}

func changeKey(p *page) error {
	at := "/api-keys/" + url.PathEscape(p.r.PathValue("key"))
	if p.r.FormValue("do") == "rotate" {
		return p.onceKey(at+"/rotate", map[string]any{"overlap_seconds": 3600})
	}
	if _, err := p.do(ask{method: http.MethodDelete, path: p.below(at)}); err != nil {
		return err
	}
	return p.redirect(p.Base()+"/keys", "revoked")
}
