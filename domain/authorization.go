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
	Version       uint64             `json:"version"`        // counts its events, from 1
	Name          string             `json:"name,omitempty"` // of the integration
	Incarnation   uint64             `json:"incarnation"`
	Subject       string             `json:"subject,omitempty"` // a hash of whose it is, the same for all integrations of a workspace
	CreatedAt     time.Time          `json:"created_at,omitzero"`
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
	Unproven      bool               `json:"unproven,omitempty"`   // the tokens were imported, and no refresh has proven them yet
	Revocation    string             `json:"revocation,omitempty"` // what became of revoked tokens at the authorization server
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

	// LossClientUnknown means that the authorization server has forgotten the client that
	// the service registered there.
	LossClientUnknown LossCause = "client_unknown"
)

// An AuthorizationEvent is a fact about one authorization. The set is closed.
//
//sumtype:decl
type AuthorizationEvent interface{ authorizationEvent() }

// ClientRegistered records that the service registered itself at an authorization server
// (RFC 7591) for an attempt.
type ClientRegistered struct {
	Name     string    `json:"name,omitempty"` // of the integration
	Issuer   string    `json:"issuer"`
	ClientID string    `json:"client_id"`
	At       time.Time `json:"at"`
}

// AuthorizationStarted records that somebody asked for a link by which a person may consent.
type AuthorizationStarted struct {
	Attempt     string    `json:"attempt,omitempty"` // a hash of it: its id is the link. Empty: tokens are imported
	Name        string    `json:"name,omitempty"`    // of the integration
	Subject     string    `json:"subject,omitempty"` // as in Authorization
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
	Unproven    bool      `json:"unproven,omitempty"` // as in Authorization
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
	Outcome string    `json:"outcome"` // at the authorization server: revoked, unsupported, retrying, or not_asked
	At      time.Time `json:"at"`
}

// RevocationEnded records how a revocation ended that was retried.
type RevocationEnded struct {
	Outcome string    `json:"outcome"` // at the authorization server: revoked or failed
	At      time.Time `json:"at"`
}

// AuthorizationProven records that imported tokens were refreshed for the first time.
type AuthorizationProven struct {
	At time.Time `json:"at"`
}

func (ClientRegistered) authorizationEvent()      {}
func (AuthorizationStarted) authorizationEvent()  {}
func (Authorized) authorizationEvent()            {}
func (AuthorizationRestored) authorizationEvent() {}
func (AuthorizationLost) authorizationEvent()     {}
func (AuthorizationRevoked) authorizationEvent()  {}
func (RevocationEnded) authorizationEvent()       {}
func (AuthorizationProven) authorizationEvent()   {}

// EvolveAuthorization returns the authorization after e. It never fails.
func EvolveAuthorization(a Authorization, e AuthorizationEvent) Authorization {
	a.Version++
	switch e := e.(type) {
	case ClientRegistered:
		a.Name, a.ChangedAt = e.Name, e.At
	case AuthorizationStarted:
		if e.Incarnation > a.Incarnation { // of an integration that was deleted since
			a = Authorization{Version: a.Version, Incarnation: e.Incarnation}
		}
		a.Name, a.Subject, a.Revocation = e.Name, e.Subject, ""
		if a.CreatedAt.IsZero() {
			a.CreatedAt = e.At
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
		a = Authorization{
			State: NotAuthorized, Version: a.Version, Name: a.Name, Incarnation: a.Incarnation, Subject: a.Subject, CreatedAt: a.CreatedAt, ChangedAt: e.At,
			Revocation: e.Outcome,
		}
	case RevocationEnded:
		if a.Revocation != "" { // else somebody has asked for another consent since
			a.Revocation = e.Outcome
		}
		a.ChangedAt = e.At
	case AuthorizationProven:
		a.Unproven, a.ChangedAt = false, e.At
	}
	return a
}

func (a Authorization) granted(e Authorized) Authorization {
	return Authorization{
		State: IsAuthorized, Version: a.Version, Name: a.Name, Subject: a.Subject, CreatedAt: a.CreatedAt, Incarnation: e.Incarnation, Unproven: e.Unproven, Issuer: e.Issuer, ClientID: e.ClientID, Requested: e.Requested, Scopes: e.Scopes,
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
// with Conflict unless replace: a person who signs in as somebody else would be taken for the
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

// End decides to end an authorization of an integration that was deleted. It returns nil for
// one that has ended.
func (a Authorization) End(by, outcome string, at time.Time) AuthorizationEvent {
	if a.Version == 0 || a.State == NotAuthorized && a.Revocation != "" {
		return nil
	}
	return AuthorizationRevoked{By: by, Outcome: outcome, At: at}
}

// AuthorizationRequiredCode is the code of an error that only a person's consent ends.
const AuthorizationRequiredCode = string(CallAuthorizationRequired)

// SplitScopes reads the scopes of an answer, separated by spaces (RFC 6749, 3.3) or, as
// some servers have it, by commas.
func SplitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
}
