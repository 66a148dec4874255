package authorizations_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/backup"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

// as returns the process for another subject.
func (p process) as(subject string) process {
	p.use.Subject = subject
	return p
}

// finding returns a finder of the integration as it is now.
func finding(i *domain.Integration, u authorizations.Use) authorizations.Finder {
	return func(context.Context, domain.Workspace, domain.ID) (authorizations.Use, error) {
		if i == nil {
			return authorizations.Use{}, domain.NoSuchIntegration()
		}
		u.Integration, u.Subject = *i, ""
		return u, nil
	}
}

func TestIdleAuthorizationsAreRenewedTheOldestFirstAndAFailureKeepsNoneBack(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, map[string]any{"keep_alive_seconds": 7200})[0]
	for _, subject := range []string{"amy", "bob", "eve"} {
		p.as(subject).signIn()
	}
	kept, err := p.KeepAlive(t.Context(), p.find)
	require.NoError(t, err)
	require.Zero(t, kept, "none is idle")
	p.pass(90 * time.Minute)
	kept, err = p.KeepAlive(t.Context(), p.find)
	require.NoError(t, err)
	require.Zero(t, kept, "none has been idle for two hours")
	p.pass(time.Hour)
	var asked atomic.Int64
	as.Do(func() {
		as.Fault = func(w http.ResponseWriter, form url.Values) bool {
			if form.Get("grant_type") == "refresh_token" && asked.Add(1) == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			return false
		}
	})
	kept, err = p.KeepAlive(t.Context(), p.find)
	require.NoError(t, err)
	require.Equal(t, authorizations.Kept{Refreshed: 2, Failed: 1}, kept)
	disabled := p.use.Integration
	disabled.Enabled = false
	kept, err = p.KeepAlive(t.Context(), finding(&disabled, p.use))
	require.NoError(t, err)
	require.Zero(t, kept, "nothing of a disabled integration is used")
	require.Zero(t, as.Seen().Reuses)
}

func TestARevocationThatFailsIsRepeatedWithTheSealedTokenThenDestroyed(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, map[string]any{"revocation_url": as.URL + "/revoke"})[0]
	secrets := func() (all []string) {
		require.NoError(t, p.vault.Each(t.Context(), func(s vault.Stored) error {
			if authorizations.Owns(s.ID) {
				all = append(all, s.ID)
			}
			return nil
		}))
		return all
	}
	end := func() {
		t.Helper()
		p.signIn()
		as.Do(func() { as.FailRevocations = true })
		done, err := p.Revoke(t.Context(), p.use, "key", true)
		require.NoError(t, err)
		require.Equal(t, "retrying", done.Outcome)
		require.Equal(t, "retrying", p.state().Revocation)
		_, err = p.token("")
		require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err), "here it has ended")
		require.Len(t, secrets(), 1, "the tokens to be revoked")
		left, err := p.RetryRevocations(t.Context(), p.find)
		require.NoError(t, err)
		require.Equal(t, 1, left)
	}
	end()
	as.Do(func() { as.FailRevocations = false })
	left, err := p.RetryRevocations(t.Context(), p.find)
	require.NoError(t, err)
	require.Zero(t, left)
	require.Equal(t, 1, as.Seen().Revocations)
	require.Equal(t, "revoked", p.state().Revocation)
	require.Empty(t, secrets())

	end()
	p.pass(21 * time.Hour)
	left, err = p.RetryRevocations(t.Context(), p.find)
	require.NoError(t, err)
	require.Zero(t, left)
	require.Equal(t, "failed", p.state().Revocation)
	require.Empty(t, secrets(), "it was tried for long enough")
}

func TestAllSubjectsOfADeletedIntegrationAreForgottenAndThoseOfTheNextAreNot(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	for _, subject := range []string{"", "amy", "bob"} {
		p.as(subject).signIn()
	}
	i := p.use.Integration
	deletedAt := i.Version + 1
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, p.Forget(interrupted, i.Workspace, i.ID, deletedAt, "key"))
	require.NoError(t, p.Forget(t.Context(), i.Workspace, i.ID, deletedAt, "key"), "it goes on")
	require.NoError(t, p.Forget(t.Context(), i.Workspace, i.ID, deletedAt, "key"), "it is done")
	for _, subject := range []string{"", "amy", "bob"} {
		require.Equal(t, domain.NotAuthorized, p.as(subject).state().State)
		_, ok, err := p.SubjectOf(t.Context(), p.as(subject).state().AuthorizationRef, i.Incarnation)
		require.NoError(t, err)
		require.False(t, ok)
	}
	again := p
	again.use.Integration.Incarnation, again.use.Integration.Version = deletedAt+1, deletedAt+1
	again.signIn()
	require.NoError(t, p.Forget(t.Context(), i.Workspace, i.ID, deletedAt, "key"), "a deletion that is read again")
	require.Equal(t, domain.IsAuthorized, again.state().State)
}

func TestAGrantKeepsTheClientThatItWasGivenTo(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	next := p.use.Integration
	auth := *next.Auth
	auth.ClientID, auth.Secrets = "another", nil
	next.Auth = &auth
	p.use.Integration = next
	as.Do(func() {
		as.CheckRequest = func(_ string, form url.Values) {
			if form.Get("grant_type") == "refresh_token" {
				require.Empty(t, form.Get("client_id"), "it is in the header")
			}
		}
	})
	p.pass(2 * time.Hour)
	require.NotEmpty(t, p.good(), "the old client and its secret")
	require.Equal(t, 1, as.Seen().Refreshes)
	require.Equal(t, "us", p.state().ClientID)
}

func TestImportedTokensProveThemselvesByOneRefreshOrAreUnproven(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	elsewhere := as.Grant()
	done, err := p.Import(t.Context(), p.use, authorizations.Import{By: "key", Refresh: domain.NewSecret(elsewhere), Account: "amy"})
	require.NoError(t, err)
	require.True(t, done.Proven)
	require.Equal(t, 1, as.Seen().Refreshes)
	shown := p.state()
	require.Equal(t, domain.IsAuthorized, shown.State)
	require.False(t, shown.Unproven)
	require.NotEmpty(t, p.good())

	_, err = p.as("bob").Import(t.Context(), p.as("bob").use, authorizations.Import{By: "key", Refresh: domain.NewSecret("spent")})
	require.Equal(t, domain.Conflict, domain.KindOf(err))
	require.ErrorContains(t, err, "does not take the refresh token")
	require.Equal(t, domain.NotAuthorized, p.as("bob").state().State)

	eve := p.as("eve")
	as.Do(func() {
		as.Fault = func(w http.ResponseWriter, _ url.Values) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	done, err = eve.Import(t.Context(), eve.use, authorizations.Import{By: "key", Refresh: domain.NewSecret(as.Grant())})
	require.NoError(t, err)
	require.False(t, done.Proven)
	require.True(t, eve.state().Unproven)
	as.Do(func() { as.Fault = nil })
	require.NotEmpty(t, eve.good())
	require.False(t, eve.state().Unproven, "a refresh has proven it")

	_, err = p.Import(t.Context(), p.use, authorizations.Import{By: "key", Access: domain.NewSecret("at"), Account: "bob"})
	require.Equal(t, "other_account", domain.CodeOf(err))
}

func TestARotationOfTheRootKeyDuringARefreshLosesNoToken(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	all := processes(t, as, 2, nil)
	p := all[0]
	p.signIn()
	p.Upstream = rotating{p.Upstream, all[1]}
	p.pass(2 * time.Hour)
	next := p.good()
	require.Equal(t, next, all[1].good(), "both tokens were sealed again together")
	p.pass(2 * time.Hour)
	require.NotEqual(t, next, all[1].good())
	require.Equal(t, 2, as.Seen().Refreshes)
	require.Zero(t, as.Seen().Reuses)
}

// rotating rotates the root key while an answer is on its way.
type rotating struct {
	authorizations.Upstream

	by process
}

func (r rotating) RequestToken(ctx context.Context, req domain.TokenRequest) domain.TokenAnswer {
	answer := r.Upstream.RequestToken(ctx, req)
	_, err := r.by.vault.RotateRoot(ctx, func(vault.Rotation) {})
	require.NoError(r.by.t, err)
	return answer
}

// A backup has the tokens of its time. After it was restored they may be spent, and somebody
// else may have the later ones.
func TestARestoredBackupPresentsNothingUntilAnOperatorSaysThatItIsAlone(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Grace = time.Hour
	keys := vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}
	i, sealed := integration(t, as, map[string]any{"revocation_url": as.URL + "/revoke"})
	ahead := &atomic.Int64{}
	start := func(url string) process {
		p := open(t, url, keys, ahead)
		p.SetPublicURL("http://127.0.0.1:1")
		p.use = authorizations.Use{Integration: i, Keyring: func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
			return p.vault.Open(ctx, i.Owner(), ref)
		}}
		return p
	}
	p := start(natstest.Listen(t))
	for _, secret := range sealed {
		require.NoError(t, p.vault.Seal(t.Context(), i.Owner(), secret))
	}
	p.signIn()
	p.as("bob").signIn()
	file := filepath.Join(t.TempDir(), "backup")
	write(t, p, file)
	for range 2 {
		p.pass(2 * time.Hour)
		p.good()
	}
	require.Equal(t, 2, as.Seen().Refreshes)

	url := natstest.Listen(t)
	restore(t, url, file)
	restored := start(url)
	restored.pass(2 * time.Hour)
	_, err := restored.token("")
	require.ErrorIs(t, err, authorizations.ErrPaused)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.Equal(t, domain.IsAuthorized, restored.state().State, "nothing is lost")
	kept, err := restored.KeepAlive(t.Context(), restored.find)
	require.NoError(t, err)
	require.Zero(t, kept.Refreshed)
	done, err := restored.as("bob").Revoke(t.Context(), restored.as("bob").use, "key", true)
	require.NoError(t, err)
	require.Equal(t, "not_asked", done.Outcome, "it would end the tokens of the other installation")
	require.Equal(t, 2, as.Seen().Refreshes, "nothing was presented")
	require.Zero(t, as.Seen().Revocations)
	restored.as("eve").signIn()
	restored.pass(2 * time.Hour)
	require.NotEmpty(t, restored.as("eve").good(), "what was given since is nobody else's")
	require.Equal(t, 3, as.Seen().Refreshes)

	require.NoError(t, restored.Events.HoldTokens(t.Context()))
	_, err = restored.token("")
	require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err), "the token of the backup was spent twice over")
	require.Equal(t, 4, as.Seen().Refreshes)
}

// write writes a backup of a process's streams.
func write(t *testing.T, p process, file string) {
	t.Helper()
	_, _, err := backup.WriteFile(t.Context(), backup.Source{
		NATS: p.nats, Events: p.Events, Lease: "backup", Version: "test", Now: time.Now, Progress: func(string, int64, int64) {},
	}, file)
	require.NoError(t, err)
}

// restore restores a backup to an empty server.
func restore(t *testing.T, url, file string) {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	defer nc.Close()
	from, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, from.Close()) }()
	_, err = backup.Read(t.Context(), from, backup.Target{
		NATS: nc, Replicas: 1, Now: time.Now, Progress: func(string, int64, int64) {}, Secrets: func(context.Context) error { return nil },
	})
	require.NoError(t, err)
}

func TestManyLossesRaiseOneAlert(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	p := processes(t, as, 1, nil)[0]
	var log bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&log, nil))
	counted := 0
	p.Lost = func() { counted++ }
	for n := range 13 {
		p.as(fmt.Sprint("user-", n)).signIn()
	}
	as.EndAll(true)
	p.pass(2 * time.Hour)
	for n := range 13 {
		_, err := p.as(fmt.Sprint("user-", n)).token("")
		require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err))
		require.Equal(t, n >= 9, strings.Contains(log.String(), "many authorizations"), n)
		require.Equal(t, n+1, counted, "each is counted for the alert")
	}
	require.Equal(t, 1, strings.Count(log.String(), "many authorizations"))
}
