package authorizations

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// grant is what a consent gave, sealed as one value in the vault: what is of no use without
// the rest is replaced together with it. Every change of it is a compare-and-set.
type grant struct {
	Access    string        `json:"access"`
	Refresh   string        `json:"refresh,omitempty"`
	Lifetime  time.Duration `json:"lifetime,omitempty"`   // of the access token, as last known; 0: unknown
	ExpiresAt time.Time     `json:"expires_at,omitempty"` // of the access token; zero: unknown
	IssuedAt  time.Time     `json:"issued_at"`
	Requested []string      `json:"requested,omitempty"`
	Scopes    []string      `json:"scopes,omitempty"` // granted

	// What the grant is bound to, as of the consent. Nothing of it goes anywhere else.
	Binding            string `json:"binding"`
	Issuer             string `json:"issuer,omitempty"`
	TokenEndpoint      string `json:"token_endpoint"`
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`
	ClientID           string `json:"client_id"`
	ClientSecret       string `json:"client_secret,omitempty"`     // of a client that registered itself
	ConfiguredSecret   string `json:"configured_secret,omitempty"` // of a configured client, for when the configuration names another one
	ClientMethod       string `json:"client_method"`
	RedirectURI        string `json:"redirect_uri"`
	Resource           string `json:"resource,omitempty"`
	Registered         bool   `json:"registered,omitempty"` // the client registered itself
	ProofKey           string `json:"proof_key,omitempty"`  // the private key, in PEM, that the tokens are bound to (RFC 9449)
	Proved             bool   `json:"proved,omitempty"`     // each use of Access takes a proof

	Captured map[string]string          `json:"captured,omitempty"` // values of the account, by the names of captures
	Choices  map[string][]domain.Choice `json:"choices,omitempty"`  // of captures that have several

	Unproven bool      `json:"unproven,omitempty"`   // the tokens were imported, and no refresh has succeeded yet
	Replaced time.Time `json:"replaced_at,omitzero"` // when Access came, if it did because the upstream had refused the one before

	// The refresh that is under way, or that was.
	LeaseHolder string    `json:"lease_holder,omitempty"`
	LeaseUntil  time.Time `json:"lease_until,omitzero"`
	Presented   time.Time `json:"presented,omitzero"` // when Refresh was first sent, or was about to be; zero: it wasn't
	Ambiguous   bool      `json:"ambiguous,omitempty"`
	PauseUntil  time.Time `json:"pause_until,omitzero"` // no request before: the last one failed
	Failures    int       `json:"failures,omitempty"`   // refusals in a row that name no end
	FailingFrom time.Time `json:"failing_from,omitzero"`
}

const (
	leaseTime = 15 * time.Second // of the process that refreshes, which extends it
	extend    = 4 * time.Second
	maxMargin = time.Minute
)

// margin returns how long before the end of an access token another one is fetched: a
// minute, or a tenth of a longer life, and at most half of a shorter one.
func (g grant) margin() time.Duration {
	return min(max(maxMargin, g.Lifetime/10), g.Lifetime/2)
}

// current reports whether the access token can be used, and whether it should be renewed.
func (g grant) current(now time.Time) (good, aging bool) {
	if g.ExpiresAt.IsZero() {
		return true, false
	}
	return now.Before(g.ExpiresAt), !now.Before(g.ExpiresAt.Add(-g.margin()))
}

// take puts the tokens of an answer into the grant. An answer without a refresh token
// leaves the present one, and one without a lifetime the last that is known.
func (g grant) take(answer domain.TokenAnswer, fallback time.Duration, now time.Time) grant {
	g.Access, g.IssuedAt, g.Proved = answer.Access.Reveal(), now, answer.Proved
	if fresh := answer.Refresh.Reveal(); fresh != "" {
		g.Refresh = fresh
	}
	switch {
	case answer.Lifetime > 0:
		g.Lifetime = answer.Lifetime
	case g.Lifetime == 0:
		g.Lifetime = fallback
	}
	g.ExpiresAt = time.Time{}
	if g.Lifetime > 0 {
		g.ExpiresAt = now.Add(g.Lifetime)
	}
	if answer.HasScopes {
		g.Scopes = answer.Scopes
	}
	g.LeaseHolder, g.LeaseUntil, g.Presented, g.Ambiguous = "", time.Time{}, time.Time{}, false
	g.PauseUntil, g.Failures, g.FailingFrom, g.Unproven = time.Time{}, 0, time.Time{}, false
	return g
}

// client returns the client that the grant was given to. A grant keeps its client when the
// integration is given another one: its refresh token is of no use to that.
func (g grant) client(i domain.Integration) domain.OAuthClient {
	c := domain.OAuthClient{ID: g.ClientID, Secret: domain.NewSecret(g.ClientSecret), AuthMethod: g.ClientMethod}
	if g.ClientSecret == "" && i.Auth.ClientID != g.ClientID {
		c.Secret = domain.NewSecret(g.ConfiguredSecret)
	}
	return c
}

// withClientSecret returns the grant with a copy of the secret of its client, while that is
// the configured one.
func (g grant) withClientSecret(ctx context.Context, u Use) (grant, error) {
	auth := u.Integration.Auth
	ref, ok := auth.Secrets[domain.ClientSecretField]
	if !ok || auth.ClientID != g.ClientID || auth.ClientID == "" {
		return g, nil
	}
	secret, err := u.Keyring(ctx, ref)
	if err == nil {
		g.ConfiguredSecret = secret.Reveal()
	}
	return g, err
}

// recapture takes the values of the account that came with a refresh: a host may have moved.
// One that must not be is left as it was.
func (g grant) recapture(answer domain.TokenAnswer) grant {
	if len(answer.Captured) > 0 {
		captured := maps.Clone(g.Captured)
		if captured == nil {
			captured = map[string]string{}
		}
		maps.Copy(captured, answer.Captured)
		g.Captured = captured
	}
	return g
}

func (a *Authorizations) seal(ctx context.Context, o domain.Owner, ref domain.SecretRef, g grant) error {
	text, err := json.Marshal(g) //nolint:gosec // it is sealed
	if err != nil {
		return err
	}
	return a.Vault.Seal(ctx, o, domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(string(text))})
}

// open returns a grant as a replica has it.
func (a *Authorizations) open(ctx context.Context, o domain.Owner, ref domain.SecretRef) (grant, error) {
	secret, err := a.Vault.Open(ctx, o, ref)
	if err != nil {
		return grant{}, err
	}
	return readGrant(secret)
}

// openLatest returns a grant as the leader has it, and its revision.
func (a *Authorizations) openLatest(ctx context.Context, o domain.Owner, ref domain.SecretRef) (grant, uint64, error) {
	secret, revision, err := a.Vault.OpenLatest(ctx, o, ref)
	if err != nil {
		return grant{}, 0, err
	}
	g, err := readGrant(secret)
	return g, revision, err
}

func readGrant(secret domain.Secret) (grant, error) {
	var g grant
	if err := json.Unmarshal([]byte(secret.Reveal()), &g); err != nil {
		return g, domain.Errorf(domain.Invalid, "secret_unreadable", "the tokens of this authorization can't be read; sign in again")
	}
	return g, nil
}

// replace writes a grant in place of a revision.
func (a *Authorizations) replace(ctx context.Context, o domain.Owner, ref domain.SecretRef, g grant, revision uint64) (uint64, error) {
	text, err := json.Marshal(g) //nolint:gosec // it is sealed
	if err != nil {
		return 0, err
	}
	return a.Vault.Replace(ctx, o, domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(string(text))}, revision)
}

// newGrant returns the reference of a grant to be sealed.
func (a *Authorizations) newGrant(k key) domain.SecretRef {
	return domain.SecretRef{ID: grantSecret + k.hash + "-" + a.NewID(), Field: "authorization", Version: 1, UpdatedAt: a.Now(), Destinations: []string{}}
}
