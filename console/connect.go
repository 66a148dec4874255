package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// discovery is what an upstream offers.
type discovery struct {
	Source     string            `json:"source"`
	Endpoints  []json.RawMessage `json:"endpoints"`
	Configured []string          `json:"configured"`
	Notes      []struct {
		Name string `json:"name"`
		Note string `json:"note"`
	} `json:"notes"`
	Skipped []struct {
		Operation string `json:"operation"`
		Reason    string `json:"reason"`
	} `json:"skipped"`
	Total             int     `json:"total"`
	Truncated         bool    `json:"truncated"`
	ContinuationToken *string `json:"continuation_token"`
	Error             *string `json:"error"`
	ErrorCode         *string `json:"error_code"`
}

// connectPage: an engineer came with an address, to have an agent call what is there.
type connectPage struct {
	Step  string
	Given string // what was pasted, if it was not understood
	ID    string
	D     *draft
	Rows  []offer
	Group []offerGroup // of the rows
	Found *discovery
	Q     string
	Next  string
	Test  *probe
	Wrong string
}

type offer struct {
	endpoint
	Ticked, Have bool
	Note         string
}

func showConnect(p *page) error {
	p.Nav = "integrations"
	return p.render("connect", "Connect an API", connectPage{Step: "where"})
}

// takePasted finds out what was pasted, and begins a draft with it.
func takePasted(p *page) error {
	p.Nav = "integrations"
	if err := p.r.ParseForm(); err != nil {
		return &problem{Status: http.StatusRequestEntityTooLarge, Title: "Too much", Detail: "At most 12 MB can be pasted; give the URL of a larger document.", Code: "too_large"}
	}
	given := p.r.FormValue("what")
	is := recognize(given)
	if is.Kind == "" {
		return p.render("connect", "Connect an API", connectPage{Step: "where", Given: given, Wrong: "That is no URL, no OpenAPI document, no cURL command, no Postman collection, no HAR file and no MCP configuration."})
	}
	d := &draft{By: p.Me.ID, Begun: p.now(), Protocol: "rest", URL: is.URL, Auth: map[string]string{"type": is.Auth, "header_name": is.Header}}
	switch is.Kind {
	case "url":
		p.explore(d)
	case "mcp":
		d.Protocol = "mcp"
	default:
		d.Source, d.Document = is.Kind, is.Document
		d.Tried = append(d.Tried, attempt{map[string]string{"openapi": "OpenAPI document", "curl": "cURL command", "postman": "Postman collection", "har": "HAR file"}[is.Kind], true, size(len(is.Document)) + " of text"})
	}
	d.Name = suggested(is.Name, d.URL)
	d.Display = cmp.Or(is.Name, d.Name)
	d.hide(p, is.Found)
	return p.redirect(p.Base()+"/connect/"+p.drafts.add(d), "")
}

// hide seals secrets, so that only a request with the draft's own key opens them.
func (d *draft) hide(p *page, found map[string]string) {
	all := d.reveal(p)
	for field, value := range found {
		if value != "" {
			all[field] = value
		}
	}
	d.Hidden = nil
	for field := range all {
		d.Hidden = append(d.Hidden, field)
	}
	slices.Sort(d.Hidden)
	data, err := json.Marshal(all)
	if err == nil {
		d.secrets = p.seal.Seal(nil, nil, data, []byte("draft "+d.By)) //nolint:gosec // the nonce is random, and in the text
	}
}

func (d *draft) reveal(p *page) map[string]string {
	all := map[string]string{}
	if data, err := p.seal.Open(nil, nil, d.secrets, []byte("draft "+d.By)); err == nil {
		_ = json.Unmarshal(data, &all) // what was sealed is what hide wrote
	}
	return all
}

// offers asks what an integration that is not saved offers.
func (p *page) offers(integration, body map[string]any) (*discovery, error) {
	body["integration"] = integration
	found := &discovery{}
	return found, p.post("/integrations/discover", body, found)
}

// integration returns the integration of a draft as the API takes it, without endpoints.
func (d *draft) integration(p *page) map[string]any {
	doc := map[string]any{"protocol": d.Protocol}
	if d.Protocol == "mcp" {
		doc["mcp_transport"], doc["mcp_url"] = "http", d.URL
	} else {
		doc["base_url"] = d.URL
	}
	if kind := d.Auth["type"]; kind != "" {
		auth := map[string]any{"type": kind}
		for _, name := range authForms[kind] {
			switch value := d.Auth[name]; {
			case strings.HasSuffix(name, "_value"):
			case name == "scopes" && value != "":
				auth[name] = strings.Fields(value)
			case value != "":
				auth[name] = value
			}
		}
		for field, value := range d.reveal(p) {
			if slices.Contains(authForms[kind], field) {
				auth[field] = value
			}
		}
		doc["auth"] = auth
	}
	return doc
}

// authForms are the fields that the page of the sign-in has for each type. The settings of an
// integration have all types, as JSON.
var authForms = map[string][]string{
	"api_key_header":            {"header_name", "api_key_value"},
	"bearer_token":              {"bearer_token_value"},
	"basic":                     {"username", "password_value"},
	"oauth2_client_credentials": {"client_id", "token_url", "scopes", "client_secret_value"},
	"smart_backend_services":    {"client_id", "token_url", "scopes", "private_key_value"},
}

// draft returns the draft of the path.
func (p *page) draft() (*draft, string, error) {
	p.Nav = "integrations"
	id := p.r.PathValue("draft")
	d, ok := p.drafts.get(id, p.Me.ID, p.now())
	if !ok {
		return nil, id, &problem{Status: http.StatusNotFound, Title: "No such draft", Detail: "The draft was finished, is older than a day, or belongs to another key. Begin again with the address.", Code: "draft_not_found"}
	}
	return d, id, nil
}

func showDraft(p *page) error {
	d, id, err := p.draft()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	page := connectPage{Step: cmp.Or(p.Query("step"), "signin"), ID: id, D: d, Q: p.Query("q")}
	if d.Into != "" && page.Step == "signin" {
		page.Step = "what"
	}
	switch page.Step {
	case "what":
		if err := p.fillOffers(&page); err != nil {
			return err
		}
	case "signin", "name":
	default:
		return &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "There is no such step.", Code: "page_not_found"}
	}
	return p.render("connect", "Connect an API", page)
}

// continueDraft takes what a step of the way was filled in with.
func continueDraft(p *page) error {
	d, id, err := p.draft()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	form := p.r.FormValue
	if err := p.r.ParseForm(); err != nil {
		return err
	}
	here := p.Base() + "/connect/" + url.PathEscape(id)
	next := func(step string) error {
		http.Redirect(p.w, p.r, here+"?step="+step, http.StatusSeeOther)
		return nil
	}
	switch form("step") {
	case "signin":
		d.URL, d.Protocol = strings.TrimSuffix(strings.TrimSpace(form("url")), "/"), form("protocol")
		d.Auth = map[string]string{"type": form("type")}
		found := map[string]string{}
		for _, name := range authForms[d.Auth["type"]] {
			if strings.HasSuffix(name, "_value") {
				found[name] = strings.TrimSpace(form(name))
			} else {
				d.Auth[name] = strings.TrimSpace(form(name))
			}
		}
		d.hide(p, found)
		return next("what")
	case "what":
		for _, shown := range p.r.Form["shown"] {
			d.Ticked = slices.DeleteFunc(d.Ticked, func(name string) bool { return name == shown })
		}
		for _, name := range p.r.Form["endpoint"] {
			if d.Offers[name] != nil && !slices.Contains(d.Ticked, name) {
				d.Ticked = append(d.Ticked, name)
			}
		}
		if form("do") == "stay" {
			return next("what&" + url.Values{"q": {form("q")}}.Encode())
		}
		if d.Into != "" {
			return p.addTo(d, id)
		}
		return next("name")
	}
	d.Name, d.Display = strings.TrimSpace(form("name")), strings.TrimSpace(form("display_name"))
	c := connectPage{Step: "name", ID: id, D: d}
	doc := d.integration(p)
	doc["name"], doc["display_name"] = d.Name, d.Display
	if form("do") == "test" {
		c.Test = &probe{}
		err = p.post("/integrations/test-connection", doc, c.Test)
	} else {
		doc["endpoints"] = d.ticked()
		err = p.post("/integrations", doc, nil)
		if err == nil {
			p.drafts.drop(id)
			return p.redirect(p.Base()+"/integrations/"+url.PathEscape(d.Name), "created")
		}
	}
	if refused, ok := errors.AsType[*problem](err); ok {
		p.Problem, c.Test = refused, nil
	} else if err != nil {
		return err
	}
	return p.render("connect", "Connect an API", c)
}

func (d *draft) ticked() []json.RawMessage {
	all := make([]json.RawMessage, 0, len(d.Ticked))
	for _, name := range d.Ticked {
		all = append(all, d.Offers[name])
	}
	return all
}

// addTo adds what is ticked to the integration of a draft, and keeps all it has.
func (p *page) addTo(d *draft, id string) error {
	at := "/integrations/" + url.PathEscape(d.Into)
	_, err := p.do(ask{method: http.MethodPut, path: p.below(at), query: url.Values{"merge": {"endpoints"}}, body: map[string]any{"endpoints": d.ticked()}})
	if err != nil {
		return err
	}
	p.drafts.drop(id)
	return p.redirect(p.Base()+at, "saved")
}

// discoverInto begins a draft that adds endpoints to the integration of the path.
func discoverInto(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := &draft{By: p.Me.ID, Begun: p.now(), Into: i.Name, Protocol: i.Protocol, URL: i.Where(), Auth: map[string]string{}}
	if i.Protocol == "rest" {
		is := recognize(p.r.FormValue("what"))
		switch is.Kind {
		case "":
			return p.render("offered", i.DisplayName, integrationPage{I: i, Tab: "overview"})
		case "url":
			d.Source, d.Document = "openapi_url", is.URL
		default:
			d.Source, d.Document = is.Kind, is.Document
		}
	}
	return p.redirect(p.Base()+"/connect/"+p.drafts.add(d), "")
}
