package projections

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// AuthorizationModel is the read interface of a Store for authorizations.
type AuthorizationModel interface {
	// Authorizations returns a page of the authorizations of a workspace, newest first.
	Authorizations(ctx context.Context, w domain.Workspace, q AuthorizationQuery) (AuthorizationPage, error)
}

// Authorization is an authorization after the event at a position. Revoked ones are stored
// too, for the reason that deleted integrations are.
type Authorization struct {
	domain.AuthorizationRef

	Position uint64
	State    domain.Authorization
}

// Listed reports whether lists show the authorization. One that was revoked is not shown
// until somebody asks for another.
func (a Authorization) Listed() bool { return Listed(a.State) }

// Listed reports whether lists show an authorization.
func Listed(a domain.Authorization) bool {
	return a.State != domain.NotAuthorized || a.Revocation == ""
}

// AuthorizationFilter restricts a list; the zero value matches everything that is listed.
type AuthorizationFilter struct {
	ID          domain.ID // of the integration; empty: any
	Incarnation uint64    // of the integration; 0: any
	Subject     string    // as in domain.Authorization; empty: any
	Account     string
	Issuer      string
	ClientID    string
	NotClientID string                    // another client than this one, among those that have tokens; empty: any
	State       domain.AuthorizationState // empty: any
	Binding     string                    // with State: one with another binding counts as reauthorization_required; empty: as recorded
}

// AuthorizationQuery selects a page.
type AuthorizationQuery struct {
	AuthorizationFilter

	Limit int               // at least 1
	After *AuthorizationKey // where the previous page ended; nil for the first page
}

// AuthorizationKey is the place of an authorization in a list: newest first, those of one
// time by their Place.
type AuthorizationKey struct {
	At  int64     `json:"at"` // Micros of CreatedAt
	ID  domain.ID `json:"id"`
	Key string    `json:"key"`
}

// AuthorizationKeyOf returns the place of an authorization.
func AuthorizationKeyOf(a Authorization) AuthorizationKey {
	return AuthorizationKey{At: created(a.State.CreatedAt), ID: a.ID, Key: a.Key}
}

// created returns Micros, 0 for the zero time.
func created(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return Micros(at)
}

// Compare returns a negative number if k precedes other in a list, a positive one if it
// follows.
func (k AuthorizationKey) Compare(other AuthorizationKey) int {
	return -cmp.Or(cmp.Compare(k.At, other.At), strings.Compare(k.Place(), other.Place()))
}

// Place returns the part of k that orders authorizations of one time, as stores keep it.
func (k AuthorizationKey) Place() string { return string(k.ID) + "/" + k.Key }

// AuthorizationPage is a page of a list.
type AuthorizationPage struct {
	Items   []Authorization
	HasMore bool
	Total   int               // of all pages, at the time of this one
	Next    *AuthorizationKey // where the next page starts; nil when there is none
}

// NewAuthorizationPage returns the page for q from rows that were read with one more than
// its limit.
func NewAuthorizationPage(q AuthorizationQuery, rows []Authorization, total int) AuthorizationPage {
	if len(rows) <= q.Limit {
		return AuthorizationPage{Items: rows, Total: total}
	}
	rows = rows[:q.Limit]
	next := AuthorizationKeyOf(rows[q.Limit-1])
	return AuthorizationPage{Items: rows, HasMore: true, Total: total, Next: &next}
}

// Matches reports whether an authorization is listed and matches the filter.
func (f AuthorizationFilter) Matches(a Authorization) bool {
	s := a.State
	return a.Listed() && (f.ID == "" || f.ID == a.ID) && (f.Incarnation == 0 || f.Incarnation == s.Incarnation) &&
		(f.Subject == "" || f.Subject == s.Subject) && (f.Account == "" || f.Account == s.Account) && (f.Issuer == "" || f.Issuer == s.Issuer) &&
		(f.ClientID == "" || f.ClientID == s.ClientID) && (f.NotClientID == "" || s.State != domain.NotAuthorized && f.NotClientID != s.ClientID) &&
		f.matchesState(s)
}

func (f AuthorizationFilter) matchesState(s domain.Authorization) bool {
	changed := f.Binding != "" && s.State == domain.IsAuthorized && s.Binding != f.Binding
	switch f.State {
	case "":
		return true
	case domain.IsAuthorized:
		return s.State == f.State && !changed
	case domain.ReauthorizationRequired:
		return s.State == f.State || changed
	case domain.NotAuthorized:
	}
	return s.State == f.State
}

// EncodeAuthorization returns the stored form of an authorization.
func EncodeAuthorization(a domain.Authorization) ([]byte, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode authorization: %w", err)
	}
	return data, nil
}

// DecodeAuthorization is the reverse of EncodeAuthorization.
func DecodeAuthorization(data []byte) (domain.Authorization, error) {
	var a domain.Authorization
	if err := json.Unmarshal(data, &a); err != nil {
		return domain.Authorization{}, fmt.Errorf("decode authorization: %w", err)
	}
	return a, nil
}
