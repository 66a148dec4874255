package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// approval is a call that waits for somebody's decision, or has waited for one.
type approval struct {
	ID          string     `json:"id"`
	Integration string     `json:"integration"`
	Endpoint    string     `json:"endpoint"`
	Method      string     `json:"method"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Version     uint64     `json:"version"`
	Key         string     `json:"key"`
	RequestedAt time.Time  `json:"requested_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	DecidedBy   *string    `json:"decided_by"`
	DecidedAt   *time.Time `json:"decided_at"`
	Reason      *string    `json:"reason"`
	EndedAt     *time.Time `json:"ended_at"`
	Cause       *string    `json:"cause"`
	Outcome     *string    `json:"outcome"`
	StatusCode  *int       `json:"status_code"`
	DurationMS  *float64   `json:"duration_ms"`
}

// Waits reports whether it can still be decided.
func (a approval) Waits() bool { return a.State == "waiting" }

// Runs reports whether it is decided, and its call not made yet.
func (a approval) Runs() bool { return a.State == "approved" || a.State == "making" }

// approvalCase is an approval with all that its reader may see.
type approvalCase struct {
	approval

	Params     json.RawMessage `json:"parameters"`
	OnBehalfOf *string         `json:"on_behalf_of"`
	Changed    bool            `json:"integration_changed"`
	Present    *uint64         `json:"current_version"` // nil: the integration is deleted
	Changes    []change        `json:"changes"`
}

// Known reports whether the parameters can be shown.
func (a approvalCase) Known() bool { return len(a.Params) > 0 && string(a.Params) != "null" }

// approvalsPage: somebody came to decide what an agent may do, and sees first what waits longest.
type approvalsPage struct {
	Items  []approval
	State  string
	States []string
	Older  string
	First  string
	Live   string // the address of the stream; "": this page has none

	One    *approvalCase
	What   *endpoint // that would be called; nil: it is gone
	Where  string
	Sent   *tested // the request, as it would be sent now; nil: nobody can know
	Reason string  // that was written, of a decision that was refused
}

// approvalStates are the states that a filter has, beside what waits.
var approvalStates = []string{"made", "denied", "expired", "cancelled", "outcome_unknown"}

// mayDecide returns an error for a key that may not decide: this page is of no use to it.
func (p *page) mayDecide() error {
	p.Nav = "approvals"
	if p.Me.May("Approval.decide") {
		return nil
	}
	return &problem{Status: http.StatusForbidden, Title: "Not allowed", Detail: "Deciding about calls needs the permission Approval.decide, which this key does not have.", Code: "forbidden"}
}

func listApprovals(p *page) error {
	if err := p.mayDecide(); err != nil {
		return err
	}
	d := approvalsPage{State: p.Query("state"), States: approvalStates}
	q := url.Values{"limit": {"50"}}
	switch d.State {
	case "":
		q.Set("state", "waiting")
		q.Set("limit", "200") // more than wait at once
		d.Live = p.Base() + "/approvals/live"
	case "all":
	default:
		q.Set("state", d.State)
	}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
		d.First = p.With("after", "")
	}
	var got struct {
		Items             []approval `json:"items"`
		HasMore           bool       `json:"has_more"`
		ContinuationToken *string    `json:"continuation_token"`
	}
	if err := p.get("/approvals", q, &got); err != nil {
		return err
	}
	if d.Items = got.Items; d.State == "" {
		slices.Reverse(d.Items)
	}
	if got.HasMore {
		d.Older = p.With("after", text(got.ContinuationToken))
	}
	return p.render("approvals", "Approvals", d)
}

// approvalPath is that of the approval of the page, in the API.
func (p *page) approvalPath() string {
	return "/approvals/" + url.PathEscape(p.r.PathValue("approval"))
}

func showApproval(p *page) error {
	if err := p.mayDecide(); err != nil {
		return err
	}
	return p.approval(approvalsPage{})
}

// approval shows one approval. Where htmx asks for how it goes on, it gets that part.
func (p *page) approval(d approvalsPage) error {
	d.One = &approvalCase{}
	if err := p.get(p.approvalPath(), nil, d.One); err != nil {
		return err
	}
	if p.isPart() {
		p.Data = d
		p.part("approval", "decided", http.StatusOK)
		return nil
	}
	var i integration
	err := p.get("/integrations/"+url.PathEscape(d.One.Integration), nil, &i)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Status != http.StatusNotFound || !ok && err != nil {
		return err
	}
	if n := slices.IndexFunc(i.Endpoints, func(e endpoint) bool { return e.Name == d.One.Endpoint }); n >= 0 {
		d.What, d.Where = &i.Endpoints[n], i.Where()
		if err := p.previewOf(&d); err != nil {
			return err
		}
	}
	return p.render("approval", "Approval of "+d.One.Endpoint, d)
}

// previewOf adds the request as it would be sent now. That of another subject can't be made
// without acting for it, and one that is refused is shown as its parameters alone.
func (p *page) previewOf(d *approvalsPage) error {
	if !d.One.Waits() || !d.One.Known() || d.One.OnBehalfOf != nil {
		return nil
	}
	var sent tested
	at := "/integrations/" + url.PathEscape(d.One.Integration) + "/endpoints/" + url.PathEscape(d.One.Endpoint) + "/test"
	err := p.post(at, map[string]any{"params": d.One.Params, "dry_run": true}, &sent)
	if _, refused := errors.AsType[*problem](err); refused {
		return nil
	}
	if err == nil && sent.Error == nil && sent.Request.Method != "" {
		d.Sent = &sent
	}
	return err
}

// decideApproval approves or denies. An approval is bound to the version of the configuration
// that the page showed.
func decideApproval(p *page) error {
	if err := p.mayDecide(); err != nil {
		return err
	}
	body, verb := map[string]any{}, "deny"
	d := approvalsPage{Reason: p.r.FormValue("reason")}
	if d.Reason != "" {
		body["reason"] = d.Reason
	}
	if p.r.FormValue("do") == "approve" {
		verb = "approve"
		if version := p.r.FormValue("version"); version != "" {
			body["version"] = number(version)
		}
	}
	err := p.post(p.approvalPath()+"/"+verb, body, nil)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Status != http.StatusNotFound {
		p.Problem = refused
		return p.approval(d)
	}
	if err != nil {
		return err
	}
	return p.redirect(p.Base()+"/approvals/"+url.PathEscape(p.r.PathValue("approval")), map[string]string{"approve": "approved", "deny": "denied"}[verb])
}

// streamApprovals says how many approvals have changed that the page does not show yet.
func streamApprovals(p *page) error {
	if err := p.mayDecide(); err != nil {
		return err
	}
	return p.stream("/approvals/events/stream", "approvals", func([]byte) bool { return true })
}
