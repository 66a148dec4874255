package domain

import (
	"slices"
	"strings"
	"time"
)

// Authorization is what a person has permitted an integration to do for one subject: an
// aggregate of its own. The zero value is one that nobody has given yet. Its tokens are in
// the vault, and a refresh of them is no event.
type Authorization struct {
	State         AuthorizationState `json:"state"`
	Version       uint64             `json:"version"` // counts its events, from 1
	Incarnation   uint64             `json:"incarnation"`
	Issuer        string             `json:"issuer,omitempty"`
	ClientID      string             `json:"client_id,omitempty"`
	Requested     []string           `json:"requested,omitempty"` // scopes, at the consent
	Scopes        []string           `json:"scopes,omitempty"`    // that were granted
	Account       string             `json:"account,omitempty"`   // who consented, as the authorization server names them
	AuthorizedBy  string             `json:"authorized_by,omitempty"`
	AuthorizedAt  time.Time          `json:"authorized_at,omitzero"`
	Lost          LossCause          `json:"lost,omitempty"` // why it must be given again
	Grant         SecretRef          `json:"grant,omitzero"` // of its tokens
	CanRefresh    bool               `json:"can_refresh,omitempty"`
	ChangedAt     time.Time          `json:"changed_at,omitzero"`
	Binding       string             `json:"binding,omitempty"` // as in Integration.ConsentBinding
	StartedScopes []string           `json:"started_scopes,omitempty"`
}

// AuthorizationState is what an authorization can be used for.
type AuthorizationState string

// The states of an authorization. Attempts to give one are apart from it.
const (
	NotAuthorized           AuthorizationState = "none"
	IsAuthorized            AuthorizationState = "authorized"
	ReauthorizationRequired AuthorizationState = "reauthorization_required"
)

// LossCause is why an authorization was lost.
type LossCause string

// The causes of a loss.
const (
	LossRefused      LossCause = "refused"       // the authorization server ended it
	LossAnswerLost   LossCause = "answer_lost"   // a refresh was sent and its answer never came, so the token was spent
	LossUnclassified LossCause = "unclassified"  // refused again and again with a code that does not name an end
	LossNoRefresh    LossCause = "no_refresh"    // the access token ended and there is none to refresh it with
	LossTokenRefused LossCause = "token_refused" // the upstream refused a fresh token
	LossChanged      LossCause = "changed"       // the integration has changed to what was not consented to
)

// An AuthorizationEvent is a fact about one authorization. The set is closed.
//
//sumtype:decl
type AuthorizationEvent interface{ authorizationEvent() }

// ClientRegistered records that the service registered itself at an authorization server
// (RFC 7591) for an attempt.
type ClientRegistered struct {
	Issuer   string    `json:"issuer"`
	ClientID string    `json:"client_id"`
	At       time.Time `json:"at"`
}

// AuthorizationStarted records that somebody asked for a link by which a person may consent.
type AuthorizationStarted struct {
	Attempt     string    `json:"attempt"` // a hash of it: its id is the link
	Incarnation uint64    `json:"incarnation"`
	By          string    `json:"by"`
	Scopes      []string  `json:"scopes,omitempty"`
	At          time.Time `json:"at"`
}

// Authorized records a consent: a person came back with a code and it was good for a token.
type Authorized struct {
	Incarnation uint64    `json:"incarnation"`
	Issuer      string    `json:"issuer,omitempty"`
	ClientID    string    `json:"client_id"`
	Requested   []string  `json:"requested,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	Account     string    `json:"account,omitempty"`
	By          string    `json:"by"`
	Grant       SecretRef `json:"grant"`
	CanRefresh  bool      `json:"can_refresh"`
	Binding     string    `json:"binding"`
	At          time.Time `json:"at"`
}

// AuthorizationRestored is Authorized for an authorization that was lost.
type AuthorizationRestored Authorized

// AuthorizationLost records that the tokens are of no use any more.
type AuthorizationLost struct {
	Cause LossCause `json:"cause"`
	Code  string    `json:"code,omitempty"` // the error of RFC 6749, 5.2
	At    time.Time `json:"at"`
}

// AuthorizationRevoked records that the tokens were destroyed on request.
type AuthorizationRevoked struct {
	By      string    `json:"by"`
	Outcome string    `json:"outcome"` // at the authorization server: revoked, unsupported, failed, or not_asked
	At      time.Time `json:"at"`
}

func (ClientRegistered) authorizationEvent()      {}
func (AuthorizationStarted) authorizationEvent()  {}
func (Authorized) authorizationEvent()            {}
func (AuthorizationRestored) authorizationEvent() {}
func (AuthorizationLost) authorizationEvent()     {}
func (AuthorizationRevoked) authorizationEvent()  {}

// EvolveAuthorization returns the authorization after e. It never fails.
func EvolveAuthorization(a Authorization, e AuthorizationEvent) Authorization {
	a.Version++
	switch e := e.(type) {
	case ClientRegistered:
		a.ChangedAt = e.At
	case AuthorizationStarted:
		if e.Incarnation > a.Incarnation { // of an integration that was deleted since
			a = Authorization{Version: a.Version, Incarnation: e.Incarnation}
		}
		if a.State == "" {
			a.State = NotAuthorized
		}
		a.StartedScopes, a.ChangedAt = e.Scopes, e.At
	case Authorized:
		return a.granted(e)
	case AuthorizationRestored:
		return a.granted(Authorized(e))
	case AuthorizationLost:
		a.State, a.Lost, a.ChangedAt = ReauthorizationRequired, e.Cause, e.At
	case AuthorizationRevoked:
		return Authorization{State: NotAuthorized, Version: a.Version, Incarnation: a.Incarnation, ChangedAt: e.At}
	}
	return a
}

func (a Authorization) granted(e Authorized) Authorization {
	return Authorization{
		State: IsAuthorized, Version: a.Version, Incarnation: e.Incarnation, Issuer: e.Issuer, ClientID: e.ClientID, Requested: e.Requested, Scopes: e.Scopes,
		Account: e.Account, AuthorizedBy: e.By, AuthorizedAt: e.At, Grant: e.Grant, CanRefresh: e.CanRefresh, Binding: e.Binding, ChangedAt: e.At,
	}
}

// MissingScopes returns those of wanted that were not granted, as sets: servers reorder
// what they grant.
func (a Authorization) MissingScopes(wanted []string) []string {
	missing := []string{}
	for _, scope := range wanted {
		if !slices.Contains(a.Scopes, scope) && scope != "offline_access" && !slices.Contains(missing, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// Give decides that a consent is good. It refuses another account than the present one
// with Conflict unless replace: whoever signs in as somebody else would be taken for the
// person that the authorization names.
func (a Authorization) Give(given Authorized, replace bool) (AuthorizationEvent, error) {
	same := a.Incarnation == given.Incarnation
	if same && a.Account != "" && a.Account != given.Account && !replace {
		return nil, Errorf(Conflict, "other_account", "another account signed in than the one that this authorization has; start with replace_account to replace it")
	}
	if same && a.State == ReauthorizationRequired {
		return AuthorizationRestored(given), nil
	}
	return given, nil
}

// Lose decides that the tokens are of no use. It returns nil for an authorization that has
// none, or that is lost already: the loss is recorded once.
func (a Authorization) Lose(cause LossCause, code string, at time.Time) AuthorizationEvent {
	if a.State != IsAuthorized {
		return nil
	}
	return AuthorizationLost{Cause: cause, Code: code, At: at}
}

// Revoke decides to destroy the tokens. It returns nil when there are none.
func (a Authorization) Revoke(by, outcome string, at time.Time) AuthorizationEvent {
	if a.Grant.ID == "" {
		return nil
	}
	return AuthorizationRevoked{By: by, Outcome: outcome, At: at}
}

// Usable reports whether calls of an integration may use the authorization, with the
// reason why not.
func (a Authorization) Usable(i Integration) (LossCause, bool) {
	switch {
	case a.State != IsAuthorized && a.State != ReauthorizationRequired, a.Incarnation != i.Incarnation:
		return "", false
	case a.State == ReauthorizationRequired:
		return a.Lost, false
	case a.Binding != i.ConsentBinding():
		return LossChanged, false
	}
	return "", true
}

// AuthorizationRequiredCode is the code of an error that only a person's consent ends.
const AuthorizationRequiredCode = string(CallAuthorizationRequired)

// SplitScopes reads the scopes of an answer, separated by spaces (RFC 6749, 3.3) or, as
// some servers have it, by commas.
func SplitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
}

// accessTokenField is the field of the reference of an access token.
const accessTokenField = "access_token"

// AccessTokenRef returns the reference by which a keyring opens the access token that a
// person's consent gave. It names the token that the upstream refused, if any: the keyring
// then opens another one.
func AccessTokenRef(refused string) SecretRef {
	ref := SecretRef{Field: accessTokenField, ID: accessTokenField}
	if refused != "" {
		ref.ID += "-" + digest(refused)
	}
	return ref
}

// IsAccessTokenRef reports whether a reference is one of AccessTokenRef.
func IsAccessTokenRef(ref SecretRef) bool { return ref.Field == accessTokenField }

// Refused reports whether a reference of AccessTokenRef names token as refused.
func (r SecretRef) Refused(token string) bool { return r.ID == AccessTokenRef(token).ID && token != "" }
