package authorizations_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/authservertest"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// A process is one of several that share the streams.
type process struct {
	*authorizations.Authorizations

	t     *testing.T
	vault *vault.Vault
	use   authorizations.Use
	nats  *nats.Conn
	ahead *atomic.Int64 // of the clock

	registry *connectors.Registry
	roots    *x509.CertPool // that browsers trust
}

// processes opens several processes over one NATS, for an integration at as.
func processes(t *testing.T, as *authservertest.Server, count int, auth map[string]any) []process {
	t.Helper()
	return processesOf(t, as, count, auth, nil)
}

// processesOf is processes for an integration with more members.
func processesOf(t *testing.T, as *authservertest.Server, count int, auth, more map[string]any) []process {
	t.Helper()
	url, keys := natstest.Listen(t), vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}
	all := make([]process, count)
	ahead := &atomic.Int64{}
	for n := range all {
		all[n] = openTrusting(t, url, keys, ahead, as.CAFile)
	}
	i, sealed := integrationOf(t, as, auth, more)
	for _, secret := range sealed {
		require.NoError(t, all[0].vault.Seal(t.Context(), i.Owner(), secret))
	}
	for n := range all {
		v := all[n].vault
		all[n].use = authorizations.Use{Integration: i, Keyring: func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
			return v.Open(ctx, i.Owner(), ref)
		}}
		all[n].SetPublicURL("http://127.0.0.1:1")
	}
	return all
}

func open(t *testing.T, url string, keys vault.RootKeys, ahead *atomic.Int64) process {
	t.Helper()
	return openTrusting(t, url, keys, ahead, "")
}

// openTrusting is open for an authorization server with TLS, whose root is in a file.
func openTrusting(t *testing.T, url string, keys vault.RootKeys, ahead *atomic.Int64, root string) process {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	v, err := vault.Open(t.Context(), nc, keys, 1)
	require.NoError(t, err)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	outside, err := connectors.New(connectors.Config{AllowLoopback: true, CAFile: root})
	require.NoError(t, err)
	a, err := authorizations.Open(t.Context(), nc, authorizations.Config{
		Events: events, Vault: v, Upstream: outside, Replicas: 1, NewID: rand.Text, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().UTC().Add(time.Duration(ahead.Load())) },
	})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	if root != "" {
		text, err := os.ReadFile(root)
		require.NoError(t, err)
		roots.AppendCertsFromPEM(text)
	}
	return process{Authorizations: a, t: t, vault: v, nats: nc, ahead: ahead, registry: outside, roots: roots}
}

// integration returns an integration that a person must sign in to, and its secrets.
func integration(t *testing.T, as *authservertest.Server, auth map[string]any) (domain.Integration, []domain.SealedSecret) {
	t.Helper()
	return integrationOf(t, as, auth, nil)
}

// integrationOf is integration with more members.
func integrationOf(t *testing.T, as *authservertest.Server, auth, more map[string]any) (domain.Integration, []domain.SealedSecret) {
	t.Helper()
	signIn := map[string]any{
		"type": "oauth2_authorization_code", "client_id": "us", "client_secret_value": as.Secret, "client_auth_method": as.Method,
		"authorization_url": as.URL + "/authorize", "token_url": as.URL + "/token",
	}
	maps.Copy(signIn, auth)
	all := map[string]any{"name": "notes", "display_name": "Notes", "base_url": as.URL + "/api", "auth": signIn}
	maps.Copy(all, more)
	text, err := json.Marshal(all)
	require.NoError(t, err)
	var decoded map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&decoded))
	d, err := domain.Integration{}.Create("acme", domain.Document(decoded), domain.Attempt{At: time.Now(), ID: "a"}, domain.Rules{})
	require.NoError(t, err)
	return domain.Evolve(domain.Integration{}, d.Event), d.Seal
}

// dying is a process that is gone as soon as a token endpoint has answered.
type dying struct {
	authorizations.Upstream

	die func()
}

func (d dying) RequestToken(ctx context.Context, r domain.TokenRequest) domain.TokenAnswer {
	answer := d.Upstream.RequestToken(ctx, r)
	d.die()
	return answer
}

func (p process) find(context.Context, domain.Workspace, domain.ID) (authorizations.Use, error) {
	return p.use, nil
}

// signIn has a person sign in.
func (p process) signIn() authorizations.Outcome {
	p.t.Helper()
	out := p.tryToSignIn(authorizations.Start{By: "key"})
	require.Equal(p.t, authorizations.Succeeded, out.State, out.Sentence)
	return out
}

func (p process) tryToSignIn(start authorizations.Start) authorizations.Outcome {
	p.t.Helper()
	out, err := p.Callback(p.t.Context(), p.leave(start), p.find)
	require.NoError(p.t, err)
	return out
}

// leave has a person follow a link, and consent. It returns what they come back with.
func (p process) leave(start authorizations.Start) authorizations.Return {
	p.t.Helper()
	started, err := p.Start(p.t.Context(), p.use, start)
	require.NoError(p.t, err)
	link := started.URL[strings.LastIndex(started.URL, "/")+1:]
	page, err := p.Page(p.t.Context(), link, p.find)
	require.NoError(p.t, err)
	to, cookie, err := p.Continue(p.t.Context(), link, "", p.find)
	require.NoError(p.t, err)
	back := p.visit(to)
	require.Equal(p.t, started.Redirect, back.Scheme+"://"+back.Host+back.Path)
	return authorizations.Return{Path: back.Path, Query: back.Query(), Cookie: func(name string) string {
		require.Equal(p.t, page.Cookie, name)
		return cookie
	}}
}

// visit returns where an authorization server sends a person back to.
func (p process) visit(to string) *url.URL {
	p.t.Helper()
	browser := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := browser.Get(to)
	require.NoError(p.t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	require.NoError(p.t, resp.Body.Close())
	require.Equal(p.t, http.StatusFound, resp.StatusCode, string(text))
	back, err := resp.Location()
	require.NoError(p.t, err)
	browser.CloseIdleConnections()
	return back
}

// call calls the first endpoint with the tokens of the use.
func (p process) call(params map[string]any) domain.CallResult {
	p.t.Helper()
	i := p.use.Integration
	result, err := p.registry.Call(p.t.Context(), domain.Call{Integration: i, Endpoint: i.Endpoints[0], Params: params, Keyring: p.keyring})
	require.NoError(p.t, err)
	return result
}

// keyring opens what a call needs.
func (p process) keyring(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
	if !domain.IsSignedInRef(ref) {
		return p.use.Keyring(ctx, ref)
	}
	opened, err := p.SignedIn(ctx, p.use, ref)
	if err != nil {
		return domain.Secret{}, err
	}
	return opened.Secret()
}

// token returns the token of a call, and of the call after the upstream refused it.
func (p process) token(refused string) (string, error) {
	opened, err := p.SignedIn(p.t.Context(), p.use, domain.SignedInRef(refused))
	return opened.Access.Reveal(), err
}

func (p process) good() string {
	p.t.Helper()
	text, err := p.token("")
	require.NoError(p.t, err)
	return text
}

func (p process) state() authorizations.Answer {
	p.t.Helper()
	answer, err := p.Get(p.t.Context(), p.use)
	require.NoError(p.t, err)
	return answer
}

func (p process) pass(d time.Duration) { p.ahead.Add(int64(d)) }

func TestOfSeveralProcessesOnePresentsTheRefreshToken(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	all := processes(t, as, 3, nil)
	all[0].signIn()
	for round := range 5 {
		all[0].pass(2 * time.Hour)
		var calls sync.WaitGroup
		got := make([]string, 30)
		for n := range got {
			calls.Go(func() { got[n], _ = all[n%3].token("") })
		}
		calls.Wait()
		for _, token := range got {
			require.NotEmpty(t, token)
			require.Equal(t, got[0], token)
		}
		require.Equal(t, round+1, as.Seen().Refreshes)
	}
	require.Zero(t, as.Seen().Reuses)
}

func TestWhileATokenLastsCallsGoOnWithItAndItIsRenewedInTheBackground(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	old := p.good()
	require.Equal(t, old, p.good())
	p.pass(time.Hour - 2*time.Minute) // an hour has a margin of six minutes
	require.Equal(t, old, p.good())
	require.Eventually(t, func() bool { return p.good() != old }, time.Minute, time.Millisecond)
	require.Equal(t, 1, as.Seen().Refreshes)
}

func TestALostAnswerIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Grace = 30 * time.Second
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	old := p.good()
	for name, drop := range map[string]func(http.ResponseWriter) bool{
		"cut": func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
		"502": func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadGateway); return true },
	} {
		before := as.Seen().Refreshes
		dropped := false
		as.Do(func() {
			as.AfterIssue = func(w http.ResponseWriter) bool {
				if dropped {
					return false
				}
				dropped = true
				return drop(w)
			}
		})
		p.pass(2 * time.Minute)
		next, err := p.token(p.good())
		require.NoError(t, err, name)
		require.NotEqual(t, old, next)
		require.Equal(t, before+2, as.Seen().Refreshes, "the same token, once more")
		old = next
	}
	require.Zero(t, as.Seen().Reuses)
	require.Equal(t, domain.IsAuthorized, p.state().State)
}

func TestALostAnswerPastAnyGraceIsNamed(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	dropped := false
	as.Do(func() {
		as.AfterIssue = func(http.ResponseWriter) bool {
			if dropped {
				return false
			}
			dropped = true
			panic(http.ErrAbortHandler)
		}
	})
	_, err := p.token(p.good())
	require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err))
	require.ErrorContains(t, err, "the answer to a renewal was lost")
	require.Equal(t, domain.LossAnswerLost, p.state().Lost)
}

func TestWhatProvesNoEndDestroysNothing(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	old := p.good()
	for name, fault := range map[string]func(http.ResponseWriter){
		"busy": func(w http.ResponseWriter) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
		"down": func(w http.ResponseWriter) { w.WriteHeader(503) },
		"firewall": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(403)
			_, _ = w.Write([]byte("<h1>Denied</h1>"))
		},
		"invalid": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
		},
		"cut": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		as.Do(func() { as.Fault = func(w http.ResponseWriter, _ url.Values) bool { fault(w); return true } })
		_, err := p.token(old)
		require.Error(t, err, name)
		require.NotEqual(t, domain.AuthorizationRequiredCode, domain.CodeOf(err), name)
		require.Equal(t, domain.IsAuthorized, p.state().State, name)
		require.Equal(t, old, p.good(), "the access token is used to its end")
		asked := as.Seen().Refreshes
		_, err = p.token(old)
		require.Error(t, err, name)
		require.Equal(t, asked, as.Seen().Refreshes, "after a failure there is a pause: %s", name)
		p.pass(time.Minute)
	}
	as.Do(func() { as.Fault = nil })
	next, err := p.token(old)
	require.NoError(t, err)
	require.NotEqual(t, old, next)
}

func TestRefusalsWithoutAReasonAreCapped(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	old := p.good()
	as.Do(func() {
		as.Fault = func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
			return true
		}
	})
	for n := range 20 {
		_, err := p.token(old)
		if domain.CodeOf(err) == domain.AuthorizationRequiredCode {
			require.Equal(t, 9, n)
			break
		}
		p.pass(90 * time.Second)
	}
	require.Equal(t, domain.LossUnclassified, p.state().Lost)
	require.Equal(t, domain.ReauthorizationRequired, p.state().State)
}

func TestARefreshThatAnswersWithoutARefreshTokenKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.KeepRefresh = true
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	for range 3 {
		p.pass(2 * time.Minute)
		old := p.good()
		next, err := p.token(old)
		require.NoError(t, err)
		require.NotEqual(t, old, next)
	}
	require.Equal(t, 3, as.Seen().Refreshes)
}

func TestAGrantWithoutExpiryOrRefreshOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Lifetime, as.NoRefresh = 0, true
	all := processes(t, as, 2, nil)
	all[0].signIn()
	all[0].pass(1000 * time.Hour)
	require.Equal(t, all[0].good(), all[1].good(), "the access token is in the vault")
	_, err := all[1].token(all[0].good())
	require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err))
	require.Equal(t, domain.LossTokenRefused, all[0].state().Lost)
	require.Zero(t, as.Seen().Refreshes)
}

func TestALifetimeIsThatOfTheAnswerElseTheLastKnownElseTheConfiguredOne(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Lifetime = 0
	p := processes(t, as, 1, map[string]any{"token_default_seconds": 600})[0]
	p.signIn()
	require.WithinDuration(t, time.Now().Add(10*time.Minute), p.state().ExpiresAt, time.Minute)
	as.Do(func() { as.Lifetime = 7200 })
	_, err := p.token(p.good())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), p.state().ExpiresAt, time.Minute)
	as.Do(func() { as.Lifetime = 0 })
	p.pass(2 * time.Minute)
	_, err = p.token(p.good())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), p.state().ExpiresAt, 3*time.Minute)
}

func TestAProcessThatDiesWithTheLeaseIsFollowedByAReplay(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Grace = time.Minute
	all := processes(t, as, 2, nil)
	all[0].signIn()
	old := all[0].good()
	// The first process sends the token, and is gone before it writes what came back.
	all[0].Upstream = dying{all[0].Upstream, all[0].nats.Close}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for as.Seen().Refreshes == 0 && streams.Wait(ctx, time.Millisecond) {
		}
		cancel()
	}()
	_, err := all[0].SignedIn(ctx, all[0].use, domain.SignedInRef(old))
	require.Error(t, err)
	all[1].pass(20 * time.Second) // the lease ends
	next, err := all[1].token(old)
	require.NoError(t, err)
	require.NotEqual(t, old, next)
	require.Equal(t, 2, as.Seen().Refreshes)
	require.Zero(t, as.Seen().Reuses)
}

func TestParallelRefreshesAcrossProcessesWithDroppedAnswersNeverReuseAToken(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Grace = time.Minute
	all := processes(t, as, 3, nil)
	all[0].signIn()
	issued, dropped := 0, 0
	as.Do(func() {
		as.AfterIssue = func(http.ResponseWriter) bool {
			if issued++; issued%4 == 0 {
				dropped++
				panic(http.ErrAbortHandler)
			}
			return false
		}
	})
	const rounds = 12
	for range rounds {
		all[0].pass(2 * time.Hour)
		var calls sync.WaitGroup
		for n := range 12 {
			calls.Go(func() {
				if _, err := all[n%3].token(""); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
	seen := as.Seen()
	require.Equal(t, 3, dropped)
	require.Equal(t, rounds+dropped, seen.Refreshes, "one for each round, and one more for each answer that was dropped")
	require.Zero(t, seen.Reuses)
	require.Zero(t, seen.Repeats)
	require.Zero(t, seen.Overlaps)
	require.Equal(t, domain.IsAuthorized, all[0].state().State)
}
