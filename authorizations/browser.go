package authorizations

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// A Page is what our own page names to a person before they are sent to an authorization
// server: the consent that can't be skipped.
type Page struct {
	Workspace   domain.Workspace
	Integration string // its display name
	Subject     string // "": the workspace itself
	Host        string // of the authorization server
	Scopes      []string
	Cookie      string // the name of the cookie of this attempt
}

// cookieName returns the name of the cookie of an attempt: each has its own, so that two
// tabs don't disturb each other.
func cookieName(attempt string) string { return "consent-" + attempt[:16] }

// Page returns the page of a link. It refuses with NotFound a link that is not valid, and
// with Conflict one that has been used.
func (a *Authorizations) Page(ctx context.Context, link string, find Finder) (Page, error) {
	name := hashOf(link)
	t, _, err := a.findAttempt(ctx, name)
	if err != nil {
		return Page{}, err
	}
	if err := t.open(a); err != nil {
		return Page{}, err
	}
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil {
		return Page{}, noSuchAttempt()
	}
	subject, err := a.Vault.Open(ctx, u.Integration.Owner(), subjectRef(t.key()))
	if err != nil {
		return Page{}, noSuchAttempt()
	}
	target, err := url.Parse(t.Server.AuthorizationEndpoint)
	if err != nil {
		return Page{}, noSuchAttempt()
	}
	return Page{
		Workspace: t.Workspace, Integration: t.Name, Subject: subject.Reveal(), Host: target.Host, Scopes: t.Scopes, Cookie: cookieName(name),
	}, nil
}

// open returns the error of an attempt that a person can't begin any more.
func (t attempt) open(a *Authorizations) error {
	switch shown := t.shown(a.Now()).State; {
	case t.State == exchanging:
		return errAttemptChanged
	case shown == Pending:
		return nil
	case shown == Expired:
		return noSuchAttempt()
	}
	return domain.Errorf(domain.Conflict, "attempt_used", "this link was used already; ask for another one")
}

// Continue binds an attempt to the browser that a person has confirmed our page in, and
// returns where to send it, with the value of its cookie. The same browser may do that
// again; another one may not.
func (a *Authorizations) Continue(ctx context.Context, link, cookie string, find Finder) (to, value string, err error) {
	name := hashOf(link)
	t, revision, err := a.findAttempt(ctx, name)
	if err != nil {
		return "", "", err
	}
	if err := t.open(a); err != nil {
		return "", "", err
	}
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil || !t.fits(u.Integration) {
		return "", "", domain.Errorf(domain.Conflict, "integration_changed", "the integration has changed since this link was made; ask for another one")
	}
	verifier, ok := a.Vault.FromOpaque(verifierPurpose, t.Verifier)
	if !ok {
		return "", "", noSuchAttempt()
	}
	if t.BrowserHash != "" {
		state, ok := a.Vault.FromOpaque(statePurpose, t.StateValue)
		if !ok || !same(t.BrowserHash, hashOf(cookie)) {
			return "", "", domain.Errorf(domain.Conflict, "other_browser", "this link was opened in another browser; ask for another one")
		}
		to, err := authorizeURL(t, u.Integration, state, verifier)
		return to, cookie, err
	}
	value = random()
	state := name + "." + random()
	t.BrowserHash, t.StateHash = hashOf(value), hashOf(state)
	if t.StateValue, err = a.Vault.Opaque(statePurpose, state); err != nil {
		return "", "", err
	}
	if to, err = authorizeURL(t, u.Integration, state, verifier); err != nil {
		return "", "", err
	}
	return to, value, a.storeAttempt(ctx, name, t, revision)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// An Outcome is what a person is shown when they come back.
type Outcome struct {
	State         AttemptState
	Integration   string
	Sentence      string
	MissingScopes []string
	Choices       map[string][]domain.Choice // captures of which one value must be chosen
	To            string                     // where the browser goes. Empty: it stays here
}

// A Return is what a browser comes back with from an authorization server.
type Return struct {
	Path   string // below the public URL
	Query  url.Values
	Cookie func(name string) string
}

// returned returns the attempt that a browser comes back from, if the state is that of this
// browser, and it is where the attempt sent it.
func (a *Authorizations) returned(ctx context.Context, r Return) (t attempt, name string, revision uint64, err error) {
	state := r.Query.Get("state")
	name, _, ok := strings.Cut(state, ".")
	if !ok || len(name) != len(hashOf("")) || len(r.Query["state"]) != 1 {
		return t, "", 0, noSuchAttempt()
	}
	if t, revision, err = a.findAttempt(ctx, name); err != nil {
		return t, "", 0, err
	}
	redirect, err := url.Parse(t.RedirectURI)
	switch {
	case t.StateHash == "" || !same(t.StateHash, hashOf(state)):
		return t, "", 0, noSuchAttempt()
	case !same(t.BrowserHash, hashOf(r.Cookie(cookieName(name)))):
		return t, "", 0, domain.Errorf(domain.Conflict, "other_browser", "this sign-in was begun in another browser; ask for another link")
	case err != nil || redirect.Path != r.Path:
		return t, "", 0, domain.Errorf(domain.Conflict, "other_redirect", "this is the answer to the sign-in of another integration")
	}
	return t, name, revision, nil
}

// outcome returns what is shown of an attempt that has ended.
func (a *Authorizations) outcome(t attempt, name string) (Outcome, error) {
	out := Outcome{State: t.shown(a.Now()).State, Integration: t.Name, Sentence: t.Sentence}
	code, err := "", error(nil)
	if out.State == Unconfirmed {
		code, err = a.Vault.Opaque(confirmPurpose, name)
	}
	if out.State != Pending {
		out.To = t.returnTo(out.State, code)
	}
	return out, err
}

// Callback takes what a browser comes back with. A state is good once, for the browser that
// it was given to; that browser sees the outcome again when it reloads.
func (a *Authorizations) Callback(ctx context.Context, r Return, find Finder) (Outcome, error) {
	q := r.Query
	t, name, revision, err := a.returned(ctx, r)
	switch {
	case err != nil:
		return Outcome{}, err
	case t.State != Pending:
		return a.outcome(t, name)
	case !a.Now().Before(t.ExpiresAt):
		return Outcome{}, noSuchAttempt()
	}
	if failure := t.refusal(q); failure.State != "" {
		if to, err := a.withoutOfflineAccess(ctx, name, t, revision, q, find); err != nil || to != "" {
			return Outcome{State: Pending, Integration: t.Name, To: to}, err
		}
		t.State, t.Error, t.Sentence = failure.State, failure.Error, failure.Sentence
		if err := a.storeAttempt(ctx, name, t, revision); err != nil {
			return Outcome{}, err
		}
		return a.outcome(t, name)
	}
	t.State = exchanging
	if err := a.storeAttempt(ctx, name, t, revision); err != nil { // the state is used up, before anything is sent
		return Outcome{}, err
	}
	ctx = context.WithoutCancel(ctx)
	missing, choices, err := a.exchange(ctx, &t, q, find)
	t.State = Succeeded
	if t.Held != nil {
		t.State = Unconfirmed
	}
	if err != nil {
		t.State, t.Error, t.Sentence = Failed, domain.CodeOf(err), sentence(err)
		if domain.KindOf(err) == domain.Internal {
			t.Error, t.Sentence = "internal", "Something failed here; the log of the service has it."
			a.Log.ErrorContext(ctx, "exchanging a code failed", slog.Any("err", err))
		}
	}
	_, revision, findErr := a.findAttempt(ctx, name)
	if findErr == nil {
		findErr = a.storeAttempt(ctx, name, t, revision)
	}
	if findErr != nil {
		return Outcome{}, findErr
	}
	out, err := a.outcome(t, name)
	out.MissingScopes = missing
	if len(choices) > 0 && t.State == Succeeded {
		out.Choices, out.To = choices, ""
	}
	return out, err
}

// ChooseInBrowser makes the choices of a person who has just signed in, in the browser that
// they did it in.
func (a *Authorizations) ChooseInBrowser(ctx context.Context, r Return, wanted map[string]string, find Finder) (Outcome, error) {
	t, name, _, err := a.returned(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil || t.State != Succeeded || !a.Now().Before(t.ExpiresAt) || u.Integration.Incarnation != t.Incarnation {
		return Outcome{}, noSuchAttempt()
	}
	if err := a.choose(ctx, u.Integration, t.key(), wanted); err != nil {
		return Outcome{}, err
	}
	return a.outcome(t, name)
}

// withoutOfflineAccess returns where to send a person again whom a server has refused
// because of the scope offline_access, which nobody configured. That is tried once.
func (a *Authorizations) withoutOfflineAccess(ctx context.Context, name string, t attempt, revision uint64, q url.Values, find Finder) (string, error) {
	if t.Retried || q.Get("error") != "invalid_scope" || !strings.Contains(q.Get("error_description"), offlineAccess) || !slices.Contains(t.Scopes, offlineAccess) {
		return "", nil
	}
	u, err := find(ctx, t.Workspace, t.Integration)
	if err != nil || !u.Integration.Consents() || u.Integration.ConsentBinding() != t.Binding || slices.Contains(u.Integration.Auth.Scopes, offlineAccess) {
		return "", nil
	}
	verifier, ok := a.Vault.FromOpaque(verifierPurpose, t.Verifier)
	if !ok {
		return "", noSuchAttempt()
	}
	t.Retried = true
	t.Scopes = slices.DeleteFunc(slices.Clone(t.Scopes), func(s string) bool { return s == offlineAccess })
	state := name + "." + random()
	t.StateHash = hashOf(state)
	if t.StateValue, err = a.Vault.Opaque(statePurpose, state); err != nil {
		return "", err
	}
	to, err := authorizeURL(t, u.Integration, state, verifier)
	if err != nil {
		return "", err
	}
	return to, a.storeAttempt(ctx, name, t, revision)
}

// refusal returns what is wrong with a callback, the zero value for nothing. An issuer that
// is there must be the one of the attempt, and one that was announced must be there (RFC
// 9207, 2.4).
func (t attempt) refusal(q url.Values) Attempt {
	iss := q.Get("iss")
	switch {
	case iss != "" && t.Server.Issuer != "" && iss != t.Server.Issuer:
		return Attempt{State: Failed, Error: "issuer_mismatch", Sentence: "The answer names another authorization server than the one that was asked."}
	case iss == "" && t.Server.NamesIssuer:
		return Attempt{State: Failed, Error: "issuer_missing", Sentence: "The answer does not name its authorization server, as that had announced."}
	case q.Get("error") == "access_denied":
		return Attempt{State: Denied, Error: "access_denied", Sentence: "Access was denied at the authorization server."}
	case q.Has("error"):
		return Attempt{State: Failed, Error: printable(q.Get("error"), 64), Sentence: refusedBecause(q)}
	case q.Get("code") == "":
		return Attempt{State: Failed, Error: "code_missing", Sentence: "The authorization server sent no code. If an administrator must permit it first, that may just have happened: try again."}
	}
	return Attempt{}
}

func refusedBecause(q url.Values) string {
	description := q.Get("error_description")
	if strings.Contains(description, "AADSTS65001") || strings.Contains(description, "AADSTS90094") || strings.Contains(description, "AADSTS90008") {
		return "An administrator must permit this at the authorization server first."
	}
	if hint := resourceHint(description); hint != "" {
		return hint
	}
	text := "The authorization server refused with " + printable(q.Get("error"), 64) + "."
	if description != "" {
		text += " Its description: " + printable(description, 300)
	}
	return text
}

// printable returns the first characters of a text, up to a limit, in one line of printable ASCII.
func printable(s string, limit int) string {
	text := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '<' || r == '>' {
			return ' '
		}
		return r
	}, s)
	return text[:min(len(text), limit)]
}
