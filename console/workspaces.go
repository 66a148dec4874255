package console

import (
	"net/http"
	"net/url"
)

// workspacesPage: an operator came to see which workspace is in trouble, and to open it.
type workspacesPage struct {
	Items []workspaceRow
	More  string
}

type workspaceRow struct {
	ID           string `json:"workspace_id"`
	Integrations int    `json:"integrations"` // -1: this page does not count them
}

func showWorkspaces(p *page) error {
	if p.Me.WorkspaceID != "" {
		return p.redirect(Path+"/"+url.PathEscape(p.Me.WorkspaceID)+"/integrations", "")
	}
	if p.Me.Workspaces != nil {
		var d workspacesPage
		for _, name := range p.Me.Workspaces {
			d.Items = append(d.Items, workspaceRow{ID: name, Integrations: -1})
		}
		return p.render("workspaces", "Workspaces", d)
	}
	if !p.Me.May("Integration.view") {
		return p.render("workspaces", "Workspaces", workspacesPage{})
	}
	q := url.Values{"limit": {"100"}}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
	}
	var got struct {
		Items             []workspaceRow `json:"items"`
		HasMore           bool           `json:"has_more"`
		ContinuationToken *string        `json:"continuation_token"`
	}
	answer, err := p.do(ask{method: http.MethodGet, path: "/v1/workspaces", query: q})
	if err == nil {
		err = decode(answer.body, &got)
	}
	if err != nil {
		return err
	}
	d := workspacesPage{Items: got.Items}
	if got.HasMore {
		d.More = p.With("after", text(got.ContinuationToken))
	}
	return p.render("workspaces", "Workspaces", d)
}
