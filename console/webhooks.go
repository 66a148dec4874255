package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// destination is where webhooks go.
type destination struct {
	ID             string    `json:"id"`
	URL            string    `json:"url"`
	Name           *string   `json:"name"`
	Description    string    `json:"description"`
	EventTypes     []string  `json:"event_types"`
	Enabled        bool      `json:"enabled"`
	DisabledReason *string   `json:"disabled_reason"`
	CreatedAt      time.Time `json:"created_at"`
	SigningSecret  struct {
		Version         uint64     `json:"version"`
		PreviousExpires *time.Time `json:"previous_expires_at"`
	} `json:"signing_secret"`
	Secret string `json:"secret"` // only of one that was just made
}

// Status is one word for whether it gets webhooks.
func (d destination) Status() string {
	if d.Enabled {
		return "enabled"
	}
	return "disabled"
}

// delivery is an attempt to deliver a webhook.
type delivery struct {
	ID            string     `json:"id"`
	Type          string     `json:"type"`
	IntegrationID *string    `json:"integration_id"`
	Position      *uint64    `json:"position"`
	Attempt       int        `json:"attempt"`
	Status        string     `json:"status"`
	HTTPStatus    *int       `json:"http_status"`
	DurationMS    float64    `json:"duration_ms"`
	At            time.Time  `json:"at"`
	NextAt        *time.Time `json:"next_at"`
	Error         *struct {
		Message string `json:"message"`
	} `json:"error"`

	To   string `json:"-"` // the name of the destination, where a page shows more than one
	ToID string `json:"-"`
}

// webhooksPage: an engineer came to see whether webhooks arrive, and to send again what didn't.
type webhooksPage struct {
	Items  []destination
	One    *destination
	Past   []delivery
	State  string
	Older  string
	First  string
	Secret string    // that is shown once
	Tested *delivery // the outcome of a test that was just sent
	Form   url.Values

	Checked *verification // a signature that was just checked
}

// verification is what a signature turned out to be.
type verification struct {
	Valid   bool     `json:"valid"`
	Version *uint64  `json:"secret_version"`
	Current bool     `json:"current"`
	Age     *float64 `json:"age_seconds"`
}

// Why says in a sentence what the signature is.
func (v verification) Why() string {
	switch {
	case v.Version == nil && v.Age == nil:
		return "The timestamp is no number of seconds, and no secret of this destination made this signature."
	case v.Version == nil:
		return "No secret of this destination made this signature: the body is not exactly the one that was sent, or the id, the timestamp or the destination is another one."
	case !v.Current:
		return "It was made with secret " + text(v.Version) + ", which does not sign any more. The receiver has to get the present one."
	case !v.Valid:
		return "It was made with the present secret, but the timestamp is more than 5 minutes off. Look at the clock of the receiver, or at what holds the webhook up."
	}
	return "A receiver with secret " + text(v.Version) + " should take it."
}

func (p *page) webhooks(d webhooksPage) error {
	p.Nav = "webhooks"
	var got struct {
		Items []destination `json:"items"`
	}
	if err := p.get("/webhook-destinations", nil, &got); err != nil {
		return err
	}
	d.Items = got.Items
	return p.render("webhooks", "Webhooks", d)
}

func showWebhooks(p *page) error { return p.webhooks(webhooksPage{Form: url.Values{}}) }

func createWebhook(p *page) error {
	if err := p.r.ParseForm(); err != nil {
		return err
	}
	body := map[string]any{"url": p.r.FormValue("url")}
	if name := p.r.FormValue("name"); name != "" {
		body["name"] = name
	}
	if types := p.r.Form["event_type"]; len(types) > 0 {
		body["event_types"] = types
	}
	var made destination
	err := p.post("/webhook-destinations", body, &made)
	d := webhooksPage{Form: p.r.Form, Secret: made.Secret}
	if refused, ok := errors.AsType[*problem](err); ok {
		p.Problem = refused
	} else if err != nil {
		return err
	}
	return p.webhooks(d)
}

func (p *page) destinationPath() string {
	return "/webhook-destinations/" + url.PathEscape(p.r.PathValue("destination"))
}

func showDeliveries(p *page) error { return p.deliveries(webhooksPage{}) }

func (p *page) deliveries(d webhooksPage) error {
	p.Nav = "webhooks"
	d.One, d.State = &destination{}, p.Query("state")
	if err := p.get(p.destinationPath(), nil, d.One); err != nil {
		return err
	}
	q := url.Values{"limit": {"50"}}
	if d.State != "" {
		q.Set("status", d.State)
	}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
		d.First = p.With("after", "")
	}
	var got struct {
		Items             []delivery `json:"items"`
		HasMore           bool       `json:"has_more"`
		ContinuationToken *string    `json:"continuation_token"`
	}
	if err := p.get(p.destinationPath()+"/deliveries", q, &got); err != nil {
		return err
	}
	d.Past = got.Items
	if got.HasMore {
		d.Older = p.With("after", text(got.ContinuationToken))
	}
	return p.render("deliveries", "Webhooks to "+d.One.URL, d)
}

func changeWebhook(p *page) error {
	at, back := p.destinationPath(), p.Base()+"/webhooks/"+url.PathEscape(p.r.PathValue("destination"))
	switch p.r.FormValue("do") {
	case "redeliver":
		if err := p.post(at+"/deliveries/"+url.PathEscape(p.r.FormValue("delivery"))+"/redeliver", nil, nil); err != nil {
			return err
		}
		return p.redirect(back, "redelivered")
	case "test":
		tested := &delivery{}
		if err := p.post(at+"/test", nil, tested); err != nil {
			return err
		}
		return p.deliveries(webhooksPage{Tested: tested})
	case "verify":
		d := webhooksPage{Form: p.r.Form, Checked: &verification{}}
		body := map[string]any{}
		for _, name := range []string{"id", "timestamp", "signature"} {
			body[name] = strings.TrimSpace(p.r.FormValue("webhook-" + name))
		}
		body["body"] = strings.ReplaceAll(p.r.FormValue("body"), "\r\n", "\n") // as forms send line breaks
		if err := p.post(at+"/verify", body, d.Checked); err != nil {
			return err
		}
		return p.deliveries(d)
	case "rotate":
		var rotated destination
		if err := p.post(at+"/rotate-secret", map[string]any{}, &rotated); err != nil {
			return err
		}
		return p.deliveries(webhooksPage{Secret: rotated.Secret})
	case "enable", "disable":
		if _, err := p.do(ask{method: http.MethodPut, path: p.below(at), body: map[string]any{"enabled": p.r.FormValue("do") == "enable"}}); err != nil {
			return err
		}
		return p.redirect(back, "")
	}
	if _, err := p.do(ask{method: http.MethodDelete, path: p.below(at)}); err != nil {
		return err
	}
	return p.redirect(p.Base()+"/webhooks", "")
}
