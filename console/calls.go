package console

import (
	"net/url"
	"time"
)

// called is a recorded call.
type called struct {
	Position      uint64    `json:"position"`
	IntegrationID string    `json:"integration_id"`
	Name          *string   `json:"name"`
	Version       *uint64   `json:"version"`
	Endpoint      *string   `json:"endpoint"`
	Method        *string   `json:"method"`
	Kind          *string   `json:"kind"`
	Key           string    `json:"key"`
	StatusCode    *int      `json:"status_code"`
	Outcome       *string   `json:"outcome"`
	Attempts      int       `json:"attempts"`
	DurationMS    float64   `json:"duration_ms"`
	RequestBytes  int       `json:"request_bytes"`
	ResponseBytes int       `json:"response_bytes"`
	Time          time.Time `json:"time"`
	Address       *string   `json:"address"`
	RequestID     *string   `json:"request_id"`
	ApprovalID    *string   `json:"approval_id"`
	Bodies        bool      `json:"bodies"`
	TraceID       *string   `json:"trace_id"`
	Problem       *string   `json:"problem"`
}

// callsPage: someone came to see who called what, and which calls failed.
type callsPage struct {
	I        integration
	Tab      string
	Items    []called
	Outcomes []string
	Older    string
	First    string
	Filters  bool
	Took     *latencies // nil: no call matches
}

// callOutcomes are the outcomes that a filter has.
var callOutcomes = []string{"ok", "auth_failed", "unreachable", "timeout", "ssl_error", "misconfigured", "blocked_destination", "upstream_error", "tool_error", "response_too_large", "authorization_required"}

func showCalls(p *page) error {
	p.Nav = "calls"
	return p.calls(callsPage{}, "/integrations/calls", "Calls")
}

func showIntegrationCalls(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	return p.calls(callsPage{I: i, Tab: "calls"}, "/integrations/"+p.part0()+"/calls", i.DisplayName+" · Calls")
}

func (p *page) calls(d callsPage, path, title string) error {
	d.Outcomes = callOutcomes
	q := url.Values{"limit": {"50"}}
	for name, param := range map[string]string{"outcome": "outcome", "endpoint": "endpoint", "caller": "key", "kind": "kind"} {
		if value := p.Query(name); value != "" {
			q.Set(param, value)
			d.Filters = true
		}
	}
	span, err := p.span()
	if err != nil {
		return err
	}
	for _, name := range []string{"from", "to"} {
		if value := span.Get(name); value != "" {
			q.Set(name, value)
			d.Filters = true
		}
	}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
		d.First = p.With("after", "")
	}
	var got struct {
		Items             []called `json:"items"`
		HasMore           bool     `json:"has_more"`
		ContinuationToken *string  `json:"continuation_token"`
	}
	if err := p.get(path, q, &got); err != nil {
		return err
	}
	d.Items = got.Items
	if got.HasMore {
		d.Older = p.With("after", text(got.ContinuationToken))
	}
	if d.First == "" && len(d.Items) > 0 {
		if d.Took, err = p.latenciesOf(path, q); err != nil {
			return err
		}
	}
	return p.render("calls", title, d)
}

// bodiesOfCall is what a recorded call sent, and what came back.
type bodiesOfCall struct {
	Method            string `json:"method"`
	URL               string `json:"url"`
	Request           string `json:"request"`
	RequestTruncated  bool   `json:"request_truncated"`
	Response          string `json:"response"`
	ResponseTruncated bool   `json:"response_truncated"`
}

// showCall: an auditor came to see what a call sent, and what came back.
func showCall(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := integrationPage{I: i, Tab: "calls", Bodies: &bodiesOfCall{}}
	if err := p.get("/integrations/"+p.part0()+"/calls/"+url.PathEscape(p.r.PathValue("call"))+"/bodies", nil, d.Bodies); err != nil {
		return err
	}
	return p.render("call", i.DisplayName+" · Call", d)
}
