package authorizations

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

const (
	attemptTime = 10 * time.Minute // in which a person must come back
	reuseTime   = 5 * time.Minute  // that a link must still be good for to be given again
)

// AttemptState is how far an attempt to get a person's consent has come.
type AttemptState string

// The states of an attempt. It is apart from the authorization, which it never disturbs.
const (
	Pending    AttemptState = "pending"
	exchanging AttemptState = "exchanging" // the code is sent, once
	Succeeded  AttemptState = "succeeded"
	Denied     AttemptState = "denied"
	Failed     AttemptState = "failed"
	Expired    AttemptState = "expired"

	// Unconfirmed is an attempt that has succeeded as far as the person goes, and waits for
	// the backend of the host application.
	Unconfirmed AttemptState = "unconfirmed"
)

// heldGrant is a grant that nothing uses before it is confirmed.
type heldGrant struct {
	Grant   domain.SecretRef `json:"grant"`
	Account string           `json:"account,omitempty"`
}

// Attempt is what is shown of an attempt to get a person's consent.
type Attempt struct {
	State     AttemptState
	CreatedAt time.Time
	ExpiresAt time.Time
	Error     string // of the authorization server, such as access_denied, or ours
	Sentence  string
}

// attempt is an attempt as it is stored. Its id, which is the link, is stored as a hash.
type attempt struct {
	Workspace      domain.Workspace           `json:"workspace"`
	Integration    domain.ID                  `json:"integration"`
	Incarnation    uint64                     `json:"incarnation"`
	Name           string                     `json:"name"` // of the integration, for our page
	Hash           string                     `json:"hash"` // of the subject
	By             string                     `json:"by"`
	CreatedAt      time.Time                  `json:"created_at"`
	ExpiresAt      time.Time                  `json:"expires_at"`
	State          AttemptState               `json:"state"`
	Error          string                     `json:"error,omitempty"`
	Sentence       string                     `json:"sentence,omitempty"`
	Server         domain.AuthorizationServer `json:"server"`
	ClientID       string                     `json:"client_id"`
	ClientMethod   string                     `json:"client_method"`
	Registered     bool                       `json:"registered,omitempty"` // the client registered itself
	RedirectURI    string                     `json:"redirect_uri"`
	Scopes         []string                   `json:"scopes,omitempty"`
	Binding        string                     `json:"binding"`
	ReplaceAccount bool                       `json:"replace_account,omitempty"`
	Account        map[string]string          `json:"account,omitempty"` // that the link was made for
	ReturnURL      string                     `json:"return_url,omitempty"`
	Confirm        bool                       `json:"confirm,omitempty"`
	Held           *heldGrant                 `json:"held,omitempty"`         // until it is confirmed
	Retried        bool                       `json:"retried,omitempty"`      // without the scope offline_access
	Verifier       string                     `json:"verifier"`               // of PKCE, sealed
	StateHash      string                     `json:"state_hash,omitempty"`   // of the parameter state
	StateValue     string                     `json:"state_value,omitempty"`  // the same, sealed: a reload sends the same person with the same state
	BrowserHash    string                     `json:"browser_hash,omitempty"` // of the cookie
}

func (t attempt) key() key { return key{t.Workspace, t.Integration, t.Hash} }

// fits reports whether an integration is still what the attempt was made for.
func (t attempt) fits(i domain.Integration) bool {
	return i.Consents() && i.Incarnation == t.Incarnation && i.ConsentBinding() == t.Binding &&
		(i.Auth.ClientID == "" || i.Auth.ClientID == t.ClientID)
}

// shown returns what may be shown of an attempt.
func (t attempt) shown(now time.Time) Attempt {
	s := Attempt{State: t.State, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Error: t.Error, Sentence: t.Sentence}
	switch {
	case (t.State == Pending || t.State == Unconfirmed) && !now.Before(t.ExpiresAt):
		s.State = Expired
		s.Sentence = t.hint()
	case t.State == exchanging:
		s.State = Pending
	}
	return s
}

func noSuchAttempt() error {
	return domain.Errorf(domain.NotFound, "attempt_not_found", "this link is not valid, or has expired; ask for another one")
}

// findAttempt returns an attempt by its key, and its revision.
func (a *Authorizations) findAttempt(ctx context.Context, name string) (attempt, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	entry, err := a.attempts.Get(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrInvalidKey):
		return attempt{}, 0, noSuchAttempt()
	case err != nil:
		return attempt{}, 0, unavailable(err, "read attempt")
	}
	var t attempt
	if err := json.Unmarshal(entry.Value(), &t); err != nil {
		return attempt{}, 0, noSuchAttempt()
	}
	return t, entry.Revision(), nil
}

// errAttemptChanged means that another request has changed an attempt.
var errAttemptChanged = domain.Errorf(domain.Conflict, "attempt_changed", "this page was used elsewhere just now; reload it")

// storeAttempt writes an attempt in place of a revision, 0 for none.
func (a *Authorizations) storeAttempt(ctx context.Context, name string, t attempt, revision uint64) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err = a.attempts.Update(ctx, name, data, revision)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return errAttemptChanged
	case err != nil:
		return unavailable(err, "store attempt")
	}
	return nil
}

// latestKey is where the key of the last attempt of an authorization is, with its link,
// sealed.
func latestKey(k key) string { return "latest." + k.String() }

type latest struct {
	Attempt string `json:"attempt"` // its key
	Link    string `json:"link"`    // its id, sealed
}

func (a *Authorizations) setLatest(ctx context.Context, k key, l latest) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := a.attempts.Put(ctx, latestKey(k), data); err != nil {
		return unavailable(err, "store attempt")
	}
	return nil
}

// latestAttempt returns the last attempt of an authorization, and its link. It is not ok
// when there was none in the last day.
func (a *Authorizations) latestAttempt(ctx context.Context, k key) (t attempt, link string, ok bool, err error) {
	within, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	entry, err := a.attempts.Get(within, latestKey(k))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return t, "", false, nil
	case err != nil:
		return t, "", false, unavailable(err, "read attempt")
	}
	var l latest
	if json.Unmarshal(entry.Value(), &l) != nil {
		return t, "", false, nil
	}
	t, _, err = a.findAttempt(ctx, l.Attempt)
	if domain.KindOf(err) == domain.NotFound {
		return t, "", false, nil
	}
	link, _ = a.Vault.FromOpaque(linkPurpose, l.Link)
	return t, link, err == nil, err
}

// The purposes of what is sealed with an attempt.
const (
	linkPurpose     = "authorization link"
	verifierPurpose = "pkce verifier"
	statePurpose    = "authorization state"
	confirmPurpose  = "authorization confirmation"
)

// random returns 128 random bits or more, as letters and digits.
func random() string { return rand.Text() }

// hint explains an attempt that nobody came back from: some authorization servers show their
// refusal to the person alone.
func (t attempt) hint() string {
	switch {
	case t.State == Unconfirmed:
		return "Nobody has confirmed it in time."
	case t.BrowserHash == "":
		return "Nobody has opened the link in time."
	case t.Registered:
		return "Nobody came back from the authorization server. If it showed that it does not know the client, or the redirect URI, it has forgotten the registration: start again with reregister."
	}
	return "Nobody came back from the authorization server. If it showed an error, check client_id, and that it knows the redirect URI " + t.RedirectURI + "."
}
