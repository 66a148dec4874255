package authorizations

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// registration is a registered client, sealed in the vault.
type registration struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"`
	Method  string    `json:"method"`
	Expires time.Time `json:"expires,omitzero"`
	Made    time.Time `json:"made,omitzero"`
}

// maxClientAge is how old a registered client may be that the server names no end for: some
// forget clients, and show that to the person alone. Grants keep the client that they have.
const maxClientAge = 180 * 24 * time.Hour

// good reports whether a registered client can be used for another consent.
func (r registration) good(now time.Time) bool {
	if r.Expires.IsZero() {
		return r.Made.IsZero() || now.Before(r.Made.Add(maxClientAge))
	}
	return now.Add(attemptTime).Before(r.Expires)
}

func clientRef(server domain.AuthorizationServer, redirect string) domain.SecretRef {
	return domain.SecretRef{ID: clientSecret + hashOf(server.Issuer+"\x00"+server.TokenEndpoint+"\x00"+redirect), Field: "client", Version: 1}
}

// forgetClient forgets a client that the service registered, unless another one has taken its
// place: the next attempt registers one. Grants keep the client that they were given to.
func (a *Authorizations) forgetClient(ctx context.Context, owner domain.Owner, ref domain.SecretRef, id string) {
	var known registration
	text, _, err := a.Vault.OpenLatest(ctx, owner, ref)
	if err != nil || json.Unmarshal([]byte(text.Reveal()), &known) != nil || known.ID != id {
		return
	}
	if err := a.Vault.Destroy(ctx, owner, ref); err != nil {
		a.Log.WarnContext(ctx, "forgetting a registered client failed", slog.Any("err", err))
	}
}
