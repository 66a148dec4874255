package console

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// integrationsPage: someone came to see whether everything works, and if not, what doesn't and why.
type integrationsPage struct {
	Items   []integration
	Total   int
	Bad     []integration // of those shown
	More    string        // the address of the next page
	First   string        // the address of the first page; "": this is it
	Filters bool          // something narrows the list
	Query   listQuery

	Activity map[string]activity // of each, by id; nil: this key may not see it
	Hatch    template.HTML       // the pattern of what failed
}

type listQuery struct{ Search, Health, Protocol, Enabled, Sort string }

func listIntegrations(p *page) error {
	p.Nav = "integrations"
	q := listQuery{p.Query("q"), p.Query("health"), p.Query("protocol"), p.Query("enabled"), p.Query("sort")}
	if q.Sort == "" {
		q.Sort = "name"
	}
	ask := url.Values{"limit": {"50"}, "sort_by": {q.Sort}}
	for name, value := range map[string]string{"search": q.Search, "protocol": q.Protocol, "enabled": q.Enabled, "continuation_token": p.Query("after")} {
		if value != "" {
			ask.Set(name, value)
		}
	}
	var got listed
	if err := p.get("/integrations", ask, &got); err != nil {
		return err
	}
	d := integrationsPage{Total: got.Total, Query: q, Filters: q.Search+q.Health+q.Protocol+q.Enabled != ""}
	for _, i := range got.Items {
		class := markOf(i.Status()).Class
		if class == "bad" {
			d.Bad = append(d.Bad, i)
		}
		if q.Health == "" || q.Health == class {
			d.Items = append(d.Items, i)
		}
	}
	if got.HasMore {
		d.More = p.With("after", text(got.ContinuationToken))
	}
	if p.Query("after") != "" {
		d.First = p.With("after", "")
	}
	var err error
	if d.Activity, err = p.activityOf(d.Items); err != nil {
		return err
	}
	d.Hatch = hatch
	return p.render("integrations", "Integrations", d)
}

// integrationPage: someone came to see whether it works, since when, and what it offers.
type integrationPage struct {
	I      integration
	Tab    string
	Health *probes
	Now    *timeline
	Test   *probe // the result of a test that was just made

	Consent *consent // nil: nobody need sign in
	Bodies  *bodiesOfCall
	Events  []recorded
	Older   string
	Newer   string
	Edit    *editing
	Then    *integration   // at an earlier version
	Doc     map[string]any // all of it
	Diff    []change
}

func showIntegration(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := integrationPage{I: i, Tab: "overview", Health: &probes{}}
	if err := p.get("/integrations/"+p.part0()+"/health", url.Values{"limit": {"1"}}, d.Health); err != nil {
		return err
	}
	if d.Now, err = p.timeline(p.part0(), url.Values{"buckets": {"48"}}); err != nil {
		return err
	}
	if d.Consent, err = p.consentOf(i); err != nil {
		return err
	}
	return p.render("integration", i.DisplayName, d)
}

func probeIntegration(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := integrationPage{I: i, Tab: "overview", Health: &probes{}, Test: &probe{}}
	if err := p.post("/integrations/"+p.part0()+"/test-connection", nil, d.Test); err != nil {
		return err
	}
	if d.I, err = p.one(); err != nil {
		return err
	}
	if err := p.get("/integrations/"+p.part0()+"/health", url.Values{"limit": {"1"}}, d.Health); err != nil {
		return err
	}
	if d.Now, err = p.timeline(p.part0(), url.Values{"buckets": {"48"}}); err != nil {
		return err
	}
	if d.Consent, err = p.consentOf(i); err != nil {
		return err
	}
	return p.render("integration", i.DisplayName, d)
}

func setEnabled(p *page) error {
	enabled := p.r.FormValue("to") == "true"
	if _, err := p.do(ask{method: http.MethodPut, path: p.below("/integrations/" + p.part0()), body: map[string]any{"enabled": enabled}}); err != nil {
		return err
	}
	return p.redirect(p.About(), map[bool]string{true: "enabled", false: "disabled"}[enabled])
}

// showHistory: an auditor came to see who changed what, and when.
func showHistory(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := integrationPage{I: i, Tab: "history"}
	q := url.Values{"limit": {"50"}}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
	}
	var got struct {
		Items             []recorded `json:"items"`
		HasMore           bool       `json:"has_more"`
		ContinuationToken *string    `json:"continuation_token"`
	}
	if err := p.get("/integrations/"+p.part0()+"/history", q, &got); err != nil {
		return err
	}
	slices.Reverse(got.Items) // of this page; the API has the oldest first
	d.Events = got.Items
	if got.HasMore {
		d.Newer = p.With("after", text(got.ContinuationToken))
	}
	if p.Query("after") != "" {
		d.Older = p.With("after", "")
	}
	return p.render("history", i.DisplayName+" · History", d)
}

// showVersion: someone came to see the configuration as it was, and to have it back.
func showVersion(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	then, doc, _, err := p.document(p.r.PathValue("version"))
	if err != nil {
		return err
	}
	d := integrationPage{I: i, Tab: "history", Then: &then, Doc: doc}
	if p.Me.May("Integration.update") && !i.Builtin {
		diff, err := p.restore(true)
		if err != nil {
			return err
		}
		d.Diff = diff.Changes
	}
	return p.render("version", i.DisplayName+" · Version "+p.r.PathValue("version"), d)
}

// restore brings back the configuration of the version in the path.
func (p *page) restore(dry bool) (result dryRun, err error) {
	a := ask{method: http.MethodPost, path: p.below("/integrations/" + p.part0() + "/restore"), body: map[string]any{"version": number(p.r.PathValue("version"))}}
	if dry {
		a.query = url.Values{"dry_run": {"true"}}
	} else {
		a.header = map[string]string{"If-Match": etag(p.r.FormValue("version"))}
	}
	got, err := p.do(a)
	if err == nil && dry {
		err = decode(got.body, &result)
	}
	return result, err
}

func restoreVersion(p *page) error {
	if _, err := p.restore(false); err != nil {
		return err
	}
	return p.redirect(p.About(), "restored")
}

func confirmDelete(p *page) error {
	if !p.Me.May("Integration.delete") {
		return &problem{Status: http.StatusForbidden, Title: "Not allowed", Detail: "Deleting needs the permission Integration.delete, which this key does not have.", Code: "forbidden"}
	}
	i, err := p.one()
	if err != nil {
		return err
	}
	return p.render("delete", "Delete "+i.DisplayName, integrationPage{I: i})
}

func deleteIntegration(p *page) error {
	name := p.r.PathValue("name")
	if strings.TrimSpace(p.r.FormValue("name")) != name {
		i, err := p.one()
		if err != nil {
			return err
		}
		p.Problem = &problem{Status: http.StatusUnprocessableEntity, Title: "Not deleted", Detail: "Type the name " + name + " to delete it.", Code: "name_differs"}
		return p.render("delete", "Delete "+i.DisplayName, integrationPage{I: i})
	}
	if _, err := p.do(ask{method: http.MethodDelete, path: p.below("/integrations/" + p.part0()), header: map[string]string{"If-Match": etag(p.r.FormValue("version"))}}); err != nil {
		return err
	}
	return p.redirect(p.Base()+"/integrations", "deleted")
}
