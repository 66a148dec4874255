package authorizations

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// documentPurpose is the purpose of the ids of client metadata documents.
const documentPurpose = "client document"

// documentsReachable reports whether authorization servers can fetch documents of this
// service: its public URL is one of https, and not of this machine or a private network.
func (a *Authorizations) documentsReachable() bool {
	u, err := url.Parse(a.PublicURL())
	if err != nil || u.Scheme != "https" {
		return false
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsGlobalUnicast() && !addr.IsPrivate()
	}
	return strings.Contains(host, ".") && !strings.HasSuffix(host, ".local") && !strings.HasSuffix(host, ".internal") && !strings.HasSuffix(host, ".localhost")
}

// DocumentURL returns the URL of the document that describes the service as a client of an
// integration. It is the client id.
func (a *Authorizations) DocumentURL(i domain.Integration) (string, error) {
	if !a.documentsReachable() {
		return "", domain.Errorf(domain.Conflict, "public_url_missing", "a client that is a document needs a --public-url of https which the authorization server can reach")
	}
	id, err := a.Vault.Opaque(documentPurpose, string(i.Workspace)+" "+string(i.ID))
	return a.PublicURL() + "/oauth/clients/" + id + ".json", err
}

// Document returns the client metadata document with an id. It stays for as long as the
// root key does, because grants name it. Any other id is not ok.
func (a *Authorizations) Document(id string) ([]byte, bool) {
	owner, ok := a.Vault.FromOpaque(documentPurpose, id)
	if !ok {
		return nil, false
	}
	public := a.PublicURL()
	redirects := []string{public + CallbackPath} // the shared one too, which grants of earlier versions name
	if w, integration, ok := strings.Cut(owner, " "); ok {
		own, err := a.redirectID(domain.Workspace(w), domain.ID(integration))
		if err != nil {
			return nil, false
		}
		redirects = append(redirects, redirects[0]+"/"+own)
	}
	data, err := json.Marshal(map[string]any{
		"client_id": public + "/oauth/clients/" + id + ".json", "client_name": "Integrations", "client_uri": public,
		"redirect_uris": redirects, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": "none", "application_type": domain.ApplicationType(public),
	})
	return data, err == nil
}
