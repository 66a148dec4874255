package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// editing is a change that is being made: what the person wrote, and what it would do.
type editing struct {
	View    string // form or json
	Version string // that the change is made on
	Text    string // the JSON
	Form    map[string]string
	Diff    []change   // what saving would change; nil: not tried yet
	Same    bool       // it would change nothing
	Theirs  []conflict // the fields that someone else changed meanwhile
}

// A conflict is a field that two people have changed.
type conflict struct{ Name, Base, Theirs, Mine string }

// formFields are the settings that the form has. The JSON has all.
var formFields = []string{"display_name", "base_url", "mcp_url", "health_path", "health_expect", "health_interval"}

// showSettings: an engineer came to change one thing, and to see before saving what it changes.
func showSettings(p *page) error {
	i, doc, version, err := p.document("")
	if err != nil {
		return err
	}
	e := &editing{View: p.Query("view"), Version: version, Text: pretty(doc), Form: formOf(i)}
	if e.View != "json" {
		e.View = "form"
	}
	return p.render("settings", i.DisplayName+" · Settings", integrationPage{I: i, Tab: "settings", Edit: e})
}

// document reads what can be changed of the integration of the path, now or at a version.
func (p *page) document(version string) (i integration, doc map[string]any, now string, err error) {
	var q url.Values
	if version != "" {
		q = url.Values{"as_of": {version}}
	}
	p.Nav = "integrations"
	got, err := p.do(ask{method: http.MethodGet, path: p.below("/integrations/" + p.part0()), query: q})
	if err != nil {
		return i, nil, "", err
	}
	if err := errors.Join(json.Unmarshal(got.body, &i), decode(got.body, &doc)); err != nil {
		return i, nil, "", err
	}
	for _, name := range readOnly {
		delete(doc, name)
	}
	return i, doc, strconv.FormatUint(i.Version, 10), nil
}

func formOf(i integration) map[string]string {
	f := map[string]string{"display_name": i.DisplayName, "base_url": text(i.BaseURL), "mcp_url": text(i.MCPURL)}
	if h := i.HealthCheck; h != nil {
		f["health_path"], f["health_expect"], f["health_interval"] = h.Path, text(h.ExpectStatus), strconv.Itoa(h.IntervalSeconds)
	}
	return f
}

// fromForm returns the change that a form makes to an integration.
func fromForm(i integration, form url.Values) map[string]any {
	doc := map[string]any{"display_name": form.Get("display_name")}
	if i.Protocol == "mcp" {
		if i.MCPURL != nil {
			doc["mcp_url"] = form.Get("mcp_url")
		}
	} else {
		doc["base_url"] = form.Get("base_url")
	}
	if path := form.Get("health_path"); path != "" {
		check := map[string]any{"path": path}
		if i.HealthCheck != nil {
			check["method"] = i.HealthCheck.Method
		}
		for field, name := range map[string]string{"health_expect": "expect_status", "health_interval": "interval_seconds"} {
			if s := form.Get(field); s != "" {
				check[name] = number(s)
			}
		}
		doc["health_check"] = check
	} else if i.HealthCheck != nil {
		doc["health_check"] = nil
	}
	return doc
}

// number returns what is written as a number as one, and anything else as it is, for the API to refuse.
func number(s string) any {
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return json.Number(s)
	}
	return s
}

func etag(version string) string { return `"v` + version + `"` }

// changeSettings shows what a change would do, and makes it once that has been seen.
func changeSettings(p *page) error {
	i, now, _, err := p.document("")
	if err != nil {
		return err
	}
	e := &editing{View: p.r.FormValue("view"), Version: p.r.FormValue("version"), Text: p.r.FormValue("text"), Form: map[string]string{}}
	for _, name := range formFields {
		e.Form[name] = p.r.FormValue(name)
	}
	d := integrationPage{I: i, Tab: "settings", Edit: e}
	doc := map[string]any{}
	if e.View == "form" && e.Text == "" {
		doc = fromForm(i, p.r.Form)
		e.Text = pretty(doc)
	} else if err := decode([]byte(e.Text), &doc); err != nil {
		p.Problem = &problem{Status: http.StatusUnprocessableEntity, Title: "This is no JSON", Detail: "The text can't be read as JSON: " + err.Error(), Code: "json_invalid"}
		return p.render("settings", i.DisplayName+" · Settings", d)
	}
	settle(doc, p.r.Form)
	e.Text = pretty(doc)
	save := p.r.FormValue("do") == "save"
	a := ask{method: http.MethodPut, path: p.below("/integrations/" + p.part0()), body: doc, header: map[string]string{"If-Match": etag(e.Version)}}
	if !save {
		a.query = url.Values{"dry_run": {"true"}}
	}
	got, err := p.do(a)
	switch refused, _ := errors.AsType[*problem](err); {
	case err == nil && save:
		return p.redirect(p.About(), "saved")
	case err == nil:
		var dry dryRun
		if err := decode(got.body, &dry); err != nil {
			return err
		}
		e.Diff, e.Same = dry.Changes, len(dry.Changes) == 0
	case refused == nil:
		return err
	case refused.Status == http.StatusPreconditionFailed:
		_, base, _, err := p.document(e.Version)
		if err != nil {
			return err
		}
		e.Theirs = conflicts(base, now, doc)
		e.Version = strconv.FormatUint(i.Version, 10)
		p.Problem = refused
	default:
		p.Problem = refused
	}
	return p.render("settings", i.DisplayName+" · Settings", d)
}

// conflicts lists the members that differ from base in what is stored now, beside what a
// document wants.
func conflicts(base, now, doc map[string]any) (all []conflict) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if same(base[name], now[name]) {
			continue
		}
		c := conflict{Name: name, Base: compact(base[name]), Theirs: compact(now[name]), Mine: compact(base[name])}
		if mine, given := doc[name]; given {
			c.Mine = compact(mine)
		}
		all = append(all, c)
	}
	return all
}

// settle leaves out of a document what the person left to the others in a conflict.
func settle(doc map[string]any, form url.Values) {
	for name, choice := range form {
		if field, ok := strings.CutPrefix(name, "keep:"); ok && len(choice) > 0 && choice[0] == "theirs" {
			delete(doc, field)
		}
	}
}

// replaceSecret stores a new value of one secret. The form has nothing else, so that saving
// settings can't touch it.
func replaceSecret(p *page) error {
	var doc map[string]any
	if _, d, _, err := p.document(""); err != nil {
		return err
	} else if doc, _ = d["auth"].(map[string]any); doc == nil {
		return &problem{Status: http.StatusConflict, Title: "No sign-in", Detail: "This integration has no sign-in, so it has no secret.", Code: "no_auth"}
	}
	doc[p.r.FormValue("field")] = p.r.FormValue("value")
	if _, err := p.do(ask{method: http.MethodPut, path: p.below("/integrations/" + p.part0()), body: map[string]any{"auth": doc}}); err != nil {
		return err
	}
	return p.redirect(p.About(), "replaced")
}
