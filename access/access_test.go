package access_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(c.Load(), 0).UTC() }

func open(t *testing.T, nc *nats.Conn, c *clock) *access.Keys {
	t.Helper()
	k, err := access.Open(t.Context(), nc, 1, c.now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return k
}

func start(t *testing.T) (*access.Keys, *clock, *nats.Conn) {
	t.Helper()
	nc, c := natstest.Connect(t), &clock{}
	c.Store(time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC).Unix())
	return open(t, nc, c), c, nc
}

var reader = access.Key{Workspace: "acme", Name: "reader", Permissions: []access.Permission{access.View}, CreatedBy: "system"}

func TestAKeyGrantsWhatItWasIssuedFor(t *testing.T) {
	k, _, _ := start(t)
	made, text, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	require.Regexp(t, `^itk_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}$`, text)
	got, err := k.Authenticate(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, made, got)
	require.True(t, got.MayEnter("acme"))
	require.False(t, got.MayEnter("other"))
	require.True(t, got.May(access.View))
	require.False(t, got.May(access.Create))
	require.False(t, got.Operator())
}

func TestAnAdminMayDoEverythingInItsWorkspaceAndAnOperatorEverywhere(t *testing.T) {
	admin := access.Key{Workspace: "acme", Permissions: []access.Permission{access.Admin}}
	for _, p := range access.Permissions() {
		require.True(t, admin.May(p), p)
	}
	require.False(t, admin.MayEnter("other"))
	require.True(t, access.Key{Permissions: []access.Permission{access.Admin}}.MayEnter("other"))
}

func TestOtherTextsDoNotAuthenticate(t *testing.T) {
	k, _, _ := start(t)
	_, text, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	parts := strings.Split(text, "_")
	for _, wrong := range []string{
		"", "itk", "itk___", "itk_" + parts[1], strings.ToUpper(text), text + "0", text[:len(text)-1], "Bearer " + text,
		strings.Replace(text, parts[2][:4], "0000", 1),
		strings.Join([]string{parts[0], parts[1], parts[2], "00000000"}, "_"),
		strings.Join([]string{parts[0], "0000000000000000", parts[2], parts[3]}, "_"),
	} {
		_, err := k.Authenticate(t.Context(), wrong)
		require.Equal(t, domain.Unauthenticated, domain.KindOf(err), wrong)
		require.NotContains(t, err.Error(), parts[2])
	}
}

func TestAKeyExpires(t *testing.T) {
	k, c, _ := start(t)
	short := reader
	short.ExpiresAt = c.now().Add(time.Hour)
	_, text, err := k.Issue(t.Context(), short)
	require.NoError(t, err)
	c.Add(3599)
	_, err = k.Authenticate(t.Context(), text)
	require.NoError(t, err)
	c.Add(1)
	_, err = k.Authenticate(t.Context(), text)
	require.Equal(t, domain.Unauthenticated, domain.KindOf(err))
}

func TestARotatedKeyOverlapsWithThePreviousOne(t *testing.T) {
	k, c, _ := start(t)
	made, first, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	_, second, err := k.Rotate(t.Context(), "acme", made.ID, time.Minute)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	for _, text := range []string{first, second} {
		_, err = k.Authenticate(t.Context(), text)
		require.NoError(t, err)
	}
	c.Add(60)
	_, err = k.Authenticate(t.Context(), first)
	require.Equal(t, domain.Unauthenticated, domain.KindOf(err))
	_, err = k.Authenticate(t.Context(), second)
	require.NoError(t, err)

	_, third, err := k.Rotate(t.Context(), "acme", made.ID, 0)
	require.NoError(t, err)
	_, err = k.Authenticate(t.Context(), second)
	require.Equal(t, domain.Unauthenticated, domain.KindOf(err), "without overlap it ends immediately")
	_, err = k.Authenticate(t.Context(), third)
	require.NoError(t, err)
}

func TestARevokedKeyEndsInEveryProcess(t *testing.T) {
	k, c, nc := start(t)
	other := open(t, nc, c)
	made, text, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := other.Authenticate(t.Context(), text); return err == nil }, time.Minute, time.Millisecond, "other processes learn of the key")
	require.NoError(t, k.Revoke(t.Context(), "acme", made.ID))
	_, err = k.Authenticate(t.Context(), text)
	require.Equal(t, domain.Unauthenticated, domain.KindOf(err), "here immediately")
	require.Eventually(t, func() bool { _, err := other.Authenticate(t.Context(), text); return err != nil }, time.Minute, time.Millisecond, "and in the other process soon")
	require.Equal(t, domain.NotFound, domain.KindOf(k.Revoke(t.Context(), "acme", made.ID)))
	require.Empty(t, k.List("acme"))
}

// A process that no longer gets changes finds out when it revokes.
func TestAKeyIsRevokedThoughItWasChangedConcurrently(t *testing.T) {
	k, c, nc := start(t)
	made, first, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	ctx, deafen := context.WithCancel(t.Context())
	deaf, err := access.Open(ctx, nc, 1, c.now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	deafen()
	_, second, err := k.Rotate(t.Context(), "acme", made.ID, time.Hour)
	require.NoError(t, err)
	require.NoError(t, deaf.Revoke(t.Context(), "acme", made.ID))
	for _, text := range []string{first, second} {
		_, err = deaf.Authenticate(t.Context(), text)
		require.Equal(t, domain.Unauthenticated, domain.KindOf(err), "here immediately")
		require.Eventually(t, func() bool { _, err := k.Authenticate(t.Context(), text); return err != nil }, time.Minute, time.Millisecond, "and in the other process soon")
	}
}

func TestAKeyThatIsRotatedAndRevokedConcurrentlyEnds(t *testing.T) {
	k, _, _ := start(t)
	for range 50 {
		made, _, err := k.Issue(t.Context(), reader)
		require.NoError(t, err)
		var racing sync.WaitGroup
		racing.Go(func() {
			if _, _, err := k.Rotate(t.Context(), "acme", made.ID, 0); err != nil {
				assert.Contains(t, []domain.Kind{domain.Conflict, domain.NotFound}, domain.KindOf(err), err)
			}
		})
		racing.Go(func() { assert.NoError(t, k.Revoke(t.Context(), "acme", made.ID)) })
		racing.Wait()
		require.Empty(t, k.List("acme"))
	}
}

func TestAKeyRevokedElsewhereEndsSoonAfterNATSIsBack(t *testing.T) {
	dir := t.TempDir()
	address, stop := natstest.ListenOn(t, dir, "127.0.0.1:0")
	connect := func() *nats.Conn {
		nc, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	c := &clock{}
	here := open(t, connect(), c)
	made, text, err := here.Issue(t.Context(), reader)
	require.NoError(t, err)
	stop()
	_, stop = natstest.ListenOn(t, dir, address)
	t.Cleanup(func() { stop() })
	require.NoError(t, open(t, connect(), c).Revoke(t.Context(), "acme", made.ID))
	require.Eventually(t, func() bool {
		_, err := here.Authenticate(t.Context(), text)
		return err != nil
	}, time.Minute, 10*time.Millisecond)
}

func TestAWorkspaceHasOnlyItsOwnKeys(t *testing.T) {
	k, _, _ := start(t)
	made, _, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	_, _, err = k.Issue(t.Context(), access.Key{Name: "operator", Permissions: []access.Permission{access.Admin}})
	require.NoError(t, err)
	require.Equal(t, []access.Key{made}, k.List("acme"))
	require.Empty(t, k.List("other"))
	_, _, err = k.Rotate(t.Context(), "other", made.ID, 0)
	require.Equal(t, domain.NotFound, domain.KindOf(err))
	require.Equal(t, domain.NotFound, domain.KindOf(k.Revoke(t.Context(), "other", made.ID)))
}

func TestOnlyAHashIsStored(t *testing.T) {
	k, _, nc := start(t)
	made, text, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	bucket, err := js.KeyValue(t.Context(), "API_KEYS")
	require.NoError(t, err)
	entry, err := bucket.Get(t.Context(), made.ID)
	require.NoError(t, err)
	require.NotContains(t, string(entry.Value()), strings.Split(text, "_")[2])
}

func TestANarrowedKeyStaysSoAndAnEarlierVersionGivesItNoPermission(t *testing.T) {
	k, c, nc := start(t)
	narrow := reader
	narrow.Scope = domain.Scope{Tools: []string{"crm__get_*"}, Methods: []string{"GET"}}
	made, text, err := k.Issue(t.Context(), narrow)
	require.NoError(t, err)
	require.Equal(t, narrow.Scope, made.Scope)
	rotated, second, err := k.Rotate(t.Context(), "acme", made.ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, narrow.Scope, rotated.Scope)
	again := open(t, nc, c)
	for _, one := range []string{text, second} {
		got, err := again.Authenticate(t.Context(), one)
		require.NoError(t, err)
		require.Equal(t, rotated, got)
		require.True(t, got.May(access.View))
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	bucket, err := js.KeyValue(t.Context(), "API_KEYS")
	require.NoError(t, err)
	entry, err := bucket.Get(t.Context(), made.ID)
	require.NoError(t, err)
	var before struct{ Permissions []access.Permission } // what a version reads that knows no scopes
	require.NoError(t, json.Unmarshal(entry.Value(), &before))
	require.Empty(t, before.Permissions)
}

func TestTheLastUseIsStored(t *testing.T) {
	k, c, nc := start(t)
	made, text, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	require.True(t, k.LastUsed(made.ID).IsZero())
	_, err = k.Authenticate(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, c.now(), k.LastUsed(made.ID))
	require.Eventually(t, func() bool { return open(t, nc, c).LastUsed(made.ID).Equal(c.now()) }, time.Minute, 10*time.Millisecond, "it survives a restart")
}

func TestTheOperatorKeyIsCreatedOnceAndReadableByItsOwnerOnly(t *testing.T) {
	k, c, nc := start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "operator.key")
	ensure := func(k *access.Keys, file string, want access.Operator) {
		t.Helper()
		found, err := k.EnsureOperator(t.Context(), file)
		require.NoError(t, err)
		require.Equal(t, want, found)
	}
	ensure(k, file, access.OperatorMade)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	key, err := k.Authenticate(t.Context(), strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.True(t, key.Operator() && key.May(access.Delete) && key.MayEnter("any"))

	ensure(open(t, nc, c), file, access.OperatorReady) // at the next start
	ensure(k, filepath.Join(dir, "another.key"), access.OperatorElsewhere)
	require.NoFileExists(t, filepath.Join(dir, "another.key"), "no second key is created for another data folder on the same log")
	require.NoError(t, os.WriteFile(file, []byte("itk_lost\n"), 0o600))
	ensure(k, file, access.OperatorElsewhere)

	require.NoError(t, k.Revoke(t.Context(), "", key.ID))
	ensure(k, file, access.OperatorMade)
	old, err := os.ReadFile(file + ".old")
	require.NoError(t, err)
	require.Equal(t, "itk_lost\n", string(old), "it may be valid on another log")
	require.Len(t, k.List(""), 1)
}

func TestAWorkspaceIsKnownWhileItHasAKey(t *testing.T) {
	k, _, _ := start(t)
	require.False(t, k.HasAny("acme"))
	first, _, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	second, _, err := k.Issue(t.Context(), reader)
	require.NoError(t, err)
	require.NoError(t, k.Revoke(t.Context(), "acme", first.ID))
	require.True(t, k.HasAny("acme"))
	require.False(t, k.HasAny("globex"))
	require.False(t, k.HasAny(""))
	require.NoError(t, k.Revoke(t.Context(), "acme", second.ID))
	require.Eventually(t, func() bool { return !k.HasAny("acme") }, time.Minute, time.Millisecond)
}
