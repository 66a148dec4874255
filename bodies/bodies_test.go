package bodies_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, nc *nats.Conn, keys vault.RootKeys) (*bodies.Store, *vault.Vault) {
	t.Helper()
	secrets, err := vault.Open(t.Context(), nc, keys, 1)
	require.NoError(t, err)
	s, err := bodies.Open(t.Context(), nc, secrets, 1)
	require.NoError(t, err)
	return s, secrets
}

func call(position uint64, id string) bodies.Call {
	return bodies.Call{Owner: domain.Owner{Workspace: "acme", ID: "i-1", Incarnation: 1}, ID: fmt.Sprint(id, "-", position), At: noon}
}

func TestBodiesAreReadByEveryProcessAndForTheirOwnCallOnly(t *testing.T) {
	nc, keys := natstest.Connect(t), vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}
	one, _ := open(t, nc, keys)
	other, _ := open(t, nc, keys)
	var keeping errgroup.Group
	for n := range 8 { // the first of the day, at once
		keeping.Go(func() error {
			return []*bodies.Store{one, other}[n%2].Keep(t.Context(), call(uint64(n+1), "c"), bodies.Bodies{Request: "q"})
		})
	}
	require.NoError(t, keeping.Wait())
	for n := range 8 {
		b, err := one.Read(t.Context(), call(uint64(n+1), "c"))
		require.NoError(t, err)
		require.Equal(t, "q", b.Request)
	}
	_, err := one.Read(t.Context(), call(1, "another"))
	require.Equal(t, "bodies_not_found", domain.CodeOf(err))
	_, err = one.Read(t.Context(), call(99, "c"))
	require.Equal(t, "bodies_not_found", domain.CodeOf(err))
	again := call(1, "c")
	again.Owner.Incarnation = 2
	_, err = one.Read(t.Context(), again)
	require.Equal(t, "bodies_not_found", domain.CodeOf(err))
}

func TestBodiesAreDestroyedAfterThirtyDays(t *testing.T) {
	s, secrets := open(t, natstest.Connect(t), vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")})
	require.NoError(t, s.Keep(t.Context(), call(1, "c"), bodies.Bodies{Request: "q"}))
	var keys []vault.Stored
	require.NoError(t, secrets.Each(t.Context(), func(stored vault.Stored) error { keys = append(keys, stored); return nil }))
	require.Len(t, keys, 1)
	key := keys[0].ID
	require.True(t, bodies.Owns(key))
	require.True(t, bodies.Needed(domain.Integration{ID: "i-1", Version: 3, Incarnation: 1}, key))
	require.False(t, bodies.Needed(domain.Integration{ID: "i-1", Version: 3, Incarnation: 2}, key))
	require.False(t, bodies.Expired(key, noon.AddDate(0, 0, 30)))
	require.True(t, bodies.Expired(key, noon.AddDate(0, 0, 31)))
	for _, other := range []string{"", "bodies-", "bodies-1", "bodies-1-never", "grant-1-2020-01-01"} {
		require.False(t, bodies.Expired(other, noon), other)
	}
	require.NoError(t, secrets.Destroy(t.Context(), keys[0].Owner, keys[0].Ref()))
	_, err := s.Read(t.Context(), call(1, "c"))
	require.Equal(t, "bodies_not_found", domain.CodeOf(err))
}

// each destroys values one by one.
type each func(domain.SecretRef, domain.Owner) error

func (e each) Destroy(_ context.Context, o domain.Owner, refs []domain.SecretRef) error {
	for _, ref := range refs {
		if err := e(ref, o); err != nil {
			return err
		}
	}
	return nil
}

func TestADeletedIntegrationLeavesNoBodies(t *testing.T) {
	s, secrets := open(t, natstest.Connect(t), vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")})
	destroy := each(func(ref domain.SecretRef, o domain.Owner) error { return secrets.Destroy(t.Context(), o, ref) })
	old, today := call(1, "c"), call(2, "d")
	old.At = noon.AddDate(0, 0, -bodies.KeptDays)
	for _, c := range []bodies.Call{old, today} {
		require.NoError(t, s.Keep(t.Context(), c, bodies.Bodies{Request: "q"}))
	}
	require.NoError(t, s.Forget(t.Context(), domain.Integration{Workspace: "acme", ID: "i-1", Incarnation: 1}, noon, destroy))
	for _, c := range []bodies.Call{old, today} {
		_, err := s.Read(t.Context(), c)
		require.Equal(t, "bodies_not_found", domain.CodeOf(err))
	}
	require.NoError(t, secrets.Each(t.Context(), func(stored vault.Stored) error { require.Fail(t, "a key is left", stored.ID); return nil }))
	require.NoError(t, s.Forget(t.Context(), domain.Integration{Workspace: "acme", ID: "none"}, noon, each(func(domain.SecretRef, domain.Owner) error { return errors.New("there is nothing to destroy") })))
}

func TestBodiesAreBounded(t *testing.T) {
	b := bodies.Of(domain.CallResult{Request: domain.CallRequest{Body: strings.Repeat("é", 100_000)}, RawResponse: map[string]any{"a": strings.Repeat("x", 1<<20)}})
	require.LessOrEqual(t, len(b.Request), 64<<10)
	require.LessOrEqual(t, len(b.Response), 256<<10)
	require.True(t, b.RequestTruncated && b.ResponseTruncated)
	require.NotContains(t, b.Request, "\uFFFD")
	short := bodies.Of(domain.CallResult{Request: domain.CallRequest{Body: "q"}, RawResponse: "plain"})
	require.Equal(t, bodies.Bodies{Request: "q", Response: "plain"}, short)
}
