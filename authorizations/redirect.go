package authorizations

import (
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// CallbackPath is where authorization servers send persons back to, below the public URL.
// An id may follow it, which stands for one integration.
const CallbackPath = "/oauth/callback"

// redirectPurpose is the purpose of the ids in addresses of single integrations.
const redirectPurpose = "redirect address"

// redirectURL returns where the authorization server of an integration sends persons back
// to. With an address of its own an integration takes no answer that was meant for another:
// of the defences against a mix-up of servers (RFC 9700, 4.4.2) this one needs no help of
// the server.
func (a *Authorizations) redirectURL(i domain.Integration) (string, error) {
	shared := a.PublicURL() + CallbackPath
	if !i.Auth.HasOwnRedirect(i.Auth.ClientID) {
		return shared, nil
	}
	id, err := a.redirectID(i.Workspace, i.ID)
	return shared + "/" + id, err
}

func (a *Authorizations) redirectID(w domain.Workspace, id domain.ID) (string, error) {
	return a.Vault.Opaque(redirectPurpose, string(w)+" "+string(id))
}

// SetReturnOrigins sets the origins that persons may be sent to after they have signed in.
// Without any, no link can name one.
func (a *Authorizations) SetReturnOrigins(origins []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.returnOrigins = nil
	for _, one := range origins {
		a.returnOrigins = append(a.returnOrigins, domain.Origin(one))
	}
}

// The parameters that a person goes back to a host application with.
const (
	returnState = "authorization_state"
	returnCode  = "confirmation_code"
)

// mayReturn refuses an address that no operator has listed the origin of, and a confirmation
// without one.
func (a *Authorizations) mayReturn(to string, confirm bool) error {
	if to == "" {
		if confirm {
			return domain.Refuse("/confirm", "return_url_missing", "needs return_url: the code for the confirmation goes there")
		}
		return nil
	}
	u, err := url.Parse(to)
	if err != nil || u.User != nil || strings.Contains(to, "#") || !domain.SecureURL(to) {
		return domain.Refuse("/return_url", "url_invalid", "must be a URL of https without a user and a fragment, or one of http of this machine")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return domain.Refuse("/return_url", "url_invalid", "must have a query of names and values, joined by &")
	}
	for _, ours := range []string{returnState, returnCode} {
		if q.Has(ours) {
			return domain.Refuse("/return_url", "url_invalid", "must not have the parameter %s, which this service adds", ours)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.returnOrigins, domain.Origin(to)) {
		return domain.Refuse("/return_url", "return_url_refused", "is at an origin that the operator of this service has not listed with --return-origin")
	}
	return nil
}

// returnTo returns where a person is sent to after an attempt, "" for a page of ours. The
// state of the attempt is added, and what the backend of the host application confirms it
// with.
func (t attempt) returnTo(state AttemptState, code string) string {
	u, err := url.Parse(t.ReturnURL)
	if t.ReturnURL == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set(returnState, string(state))
	q.Del(returnCode) // of an attempt that was started before it was refused
	if code != "" {
		q.Set(returnCode, code)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
