package console

import (
	"net/url"
)

// agentsPage: someone came to give an agent the tools of this workspace.
type agentsPage struct {
	URL    string
	Client string
	Tools  int
	More   bool
	Names  []string
	Calls  []called
}

func showAgents(p *page) error {
	p.Nav = "agents"
	d := agentsPage{URL: p.origin() + "/v1/" + p.Workspace + "/mcp", Client: p.Query("client")}
	if d.Client == "" {
		d.Client = "claude"
	}
	var got struct {
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
		HasMore bool `json:"has_more"`
	}
	if err := p.get("/integration-tools", url.Values{"format": {"mcp"}, "limit": {"200"}}, &got); err != nil {
		return err
	}
	d.Tools, d.More = len(got.Tools), got.HasMore
	for _, t := range got.Tools {
		d.Names = append(d.Names, t.Name)
	}
	var calls struct {
		Items []called `json:"items"`
	}
	if err := p.get("/integrations/calls", url.Values{"kind": {"mcp"}, "limit": {"5"}}, &calls); err != nil {
		return err
	}
	d.Calls = calls.Items
	return p.render("agents", "Agents", d)
}

// origin is the address under which this service is reached.
func (p *page) origin() string {
	if p.publicURL != "" {
		return p.publicURL
	}
	return "http://" + p.r.Host
}
