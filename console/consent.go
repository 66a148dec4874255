package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

// consent is what a person has permitted an integration to do for the workspace itself.
type consent struct {
	State         string     `json:"state"`
	Reason        *string    `json:"reason"`
	Account       *string    `json:"account"`
	Scopes        []string   `json:"scopes"`
	MissingScopes []string   `json:"missing_scopes"`
	AuthorizedAt  *time.Time `json:"authorized_at"`
	Renewable     bool       `json:"renewable"`
	Hint          *string    `json:"hint"`
	RedirectURI   string     `json:"redirect_uri"`
	Attempt       *struct {
		State     string    `json:"state"`
		ExpiresAt time.Time `json:"expires_at"`
		Error     *string   `json:"error"`
		Detail    *string   `json:"detail"`
	} `json:"attempt"`
}

// Pending reports whether a person is signing in.
func (c *consent) Pending() bool { return c.Attempt != nil && c.Attempt.State == "pending" }

// Given reports whether calls can use what was permitted.
func (c *consent) Given() bool { return c.State == "authorized" }

// NeedsPerson reports whether somebody must sign in for the integration.
func (a *auth) NeedsPerson() bool { return a != nil && a.Type == "oauth2_authorization_code" }

// MayConnect reports whether the key may have somebody sign in for the workspace itself.
func (p *page) MayConnect() bool {
	return p.Me.May("Connection.authorize") && p.Me.May("Integration.update")
}

// consentOf reads what was permitted for the workspace itself; nil: nobody need sign in, or this key
// may not see who has.
func (p *page) consentOf(i integration) (*consent, error) {
	if !i.Auth.NeedsPerson() || !p.Me.May("Connection.authorize") {
		return nil, nil
	}
	got := &consent{}
	err := p.get("/integrations/"+p.part0()+"/authorizations/-", nil, got)
	if refused, ok := errors.AsType[*problem](err); ok && (refused.Status == http.StatusNotFound || refused.Status == http.StatusForbidden) {
		return &consent{State: "none"}, nil
	}
	return got, err
}

// showConsent is the state alone, while somebody signs in: it comes from the server, since no
// window knows when another was closed.
func showConsent(p *page) error {
	d, err := p.consentPage()
	if err != nil {
		return err
	}
	if d.Consent == nil {
		return &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "Nobody signs in for this integration, or this key lacks the permission Connection.authorize.", Code: "page_not_found"}
	}
	if p.isPart() {
		p.Data = d
		p.part("consent", "consent", http.StatusOK)
		return nil
	}
	return p.renderConsent(d)
}

// consentPage returns what the page of a sign-in shows.
func (p *page) consentPage() (d integrationPage, err error) {
	d.Tab = "overview"
	if d.I, err = p.one(); err != nil {
		return d, err
	}
	d.Consent, err = p.consentOf(d.I)
	return d, err
}

func (p *page) renderConsent(d integrationPage) error {
	return p.render("consent", d.I.DisplayName+" · Sign-in", d)
}

// beginConsent makes a link by which a person signs in, and leads to it: in the window that the click
// opened.
func beginConsent(p *page) error {
	var started struct {
		URL string `json:"authorize_url"`
	}
	err := p.post("/integrations/"+p.part0()+"/authorizations", map[string]any{}, &started)
	if refused, ok := errors.AsType[*problem](err); ok {
		d, err := p.consentPage()
		if err != nil {
			return err
		}
		if d.Consent == nil {
			return refused
		}
		p.Problem = refused
		return p.renderConsent(d)
	}
	if err != nil {
		return err
	}
	to, err := url.Parse(started.URL)
	if err != nil {
		return err
	}
	if to.Host != p.r.Host { // a form may lead to this service only, so this names where to go on
		return &problem{Status: http.StatusConflict, Title: "Go on there", Detail: "This console is at another address than --public-url. Open " + started.URL, Code: "other_origin"}
	}
	http.Redirect(p.w, p.r, to.RequestURI(), http.StatusSeeOther)
	return nil
}
