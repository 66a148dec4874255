package authorizations

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

const day = 24 * time.Hour

// hint returns what has probably ended an authorization, for people, "" where nothing is
// known: what authorization servers do and don't name.
func hint(state domain.Authorization, i domain.Integration, g grant) string {
	if state.State != domain.ReauthorizationRequired || state.Lost != domain.LossRefused {
		return ""
	}
	age, idle := state.ChangedAt.Sub(state.AuthorizedAt), state.ChangedAt.Sub(g.IssuedAt)
	google := isGoogle(g.TokenEndpoint) || isGoogle(i.Auth.Issuer)
	switch {
	case google && age > 6*day && age < 8*day:
		return "It ended after seven days: that is how long what a Google project in the publishing status Testing is permitted lasts, however often it is used. Set the status to In production, and sign in again."
	case idle > 6*day:
		return fmt.Sprintf("It had not been renewed for %d days: many authorization servers end what is not used.", int(idle/day))
	case google:
		return "At Google an account has at most 100 refresh tokens for one client: each further consent ends the oldest. Use one client for each integration, or sign in less often."
	}
	return ""
}

func isGoogle(at string) bool {
	u, err := url.Parse(at)
	return err == nil && (u.Host == "oauth2.googleapis.com" || u.Host == "accounts.google.com")
}

// resourceHint explains the refusal of Entra to take a resource beside scopes of another.
func resourceHint(description string) string {
	if !strings.Contains(description, "AADSTS9010010") {
		return ""
	}
	return "Entra refuses the parameter resource together with these scopes (AADSTS9010010). Set resource to none."
}
