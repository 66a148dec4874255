package authserver

import (
	"context"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// smart reads where a FHIR server has people sign in (HL7 SMART App Launch 2.2, .well-known).
// The server speaks for itself, so its issuer, if it names one, is believed.
func (f *Finder) smart(ctx context.Context, baseURL string, a domain.Auth) (domain.AuthorizationServer, *callerror.Error) {
	if domain.UsesAccount(baseURL) || !domain.SecureURL(baseURL) {
		return domain.AuthorizationServer{}, callerror.Misconfigured("The SMART configuration is at an https base_url that names its host. Configure authorization_url and token_url.")
	}
	at := strings.TrimRight(baseURL, "/") + "/.well-known/smart-configuration"
	members, e := f.fetch(ctx, at)
	if e != nil {
		return domain.AuthorizationServer{}, callerror.FoundMisconfigured("%s has no SMART configuration: %s Configure authorization_url and token_url.", at, e.Sentence)
	}
	issuer, _ := members["issuer"].(string)
	if issuer == "" { // one that gives no ID tokens names none
		issuer = baseURL
		members["issuer"] = baseURL
	}
	server, e := f.readServer(issuer, members, a)
	if e == nil {
		f.note("authorization_server", "%s describes the authorization server.", at)
	}
	return server, e
}
