package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

var owner = domain.Owner{Workspace: "acme", ID: domain.NewID("acme", "crm"), Incarnation: 3}

func secret(id, text string) domain.SealedSecret {
	return domain.SealedSecret{
		Ref:    domain.SecretRef{ID: id, Field: "auth.api_key_value", Version: 2, Destinations: []string{"https://crm.example.com:443 header x-api-key"}},
		Secret: domain.NewSecret(text),
	}
}

func open(t *testing.T, nc *nats.Conn, keys vault.RootKeys) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), nc, keys, 1)
	require.NoError(t, err)
	return v
}

func fileIn(t *testing.T) vault.RootKeys {
	return vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}
}

func TestASealedSecretOpens(t *testing.T) {
	v := open(t, natstest.Connect(t), fileIn(t))
	s := secret("s1", "hunter2")
	require.NoError(t, v.Seal(t.Context(), owner, s))
	got, err := v.Open(t.Context(), owner, s.Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())
}

func TestTheFirstPinOfASecretStaysUntilTheSecretIsDestroyed(t *testing.T) {
	nc, keys := natstest.Connect(t), fileIn(t)
	all := []*vault.Vault{open(t, nc, keys), open(t, nc, keys)}
	pin := func(v *vault.Vault, name, value string) string {
		t.Helper()
		kept, err := v.Pin(t.Context(), owner, "s1", name, value)
		require.NoError(t, err)
		return kept
	}
	require.Empty(t, pin(all[0], "a", ""))
	var first [20]string
	var at sync.WaitGroup
	for n := range first {
		at.Go(func() { first[n], _ = all[n%2].Pin(t.Context(), owner, "s1", "a", strconv.Itoa(n)) })
	}
	at.Wait()
	for _, kept := range first {
		require.Equal(t, first[0], kept)
	}
	require.Equal(t, "x", pin(all[1], "b", "x"))
	require.Equal(t, first[0], pin(all[1], "a", ""))
	kept, err := all[0].Pin(t.Context(), owner, "s2", "a", "")
	require.NoError(t, err)
	require.Empty(t, kept, "another secret")
	require.NoError(t, all[0].Destroy(t.Context(), owner, domain.SecretRef{ID: "s1"}))
	require.Empty(t, pin(all[1], "a", ""))
	for n := range 64 {
		require.Equal(t, "x", pin(all[0], strconv.Itoa(n), "x"))
	}
	_, err = all[0].Pin(t.Context(), owner, "s1", "one more", "x")
	require.Equal(t, "too_many_pins", domain.CodeOf(err))
}

func TestASecretOpensOnlyForWhatItWasSealedFor(t *testing.T) {
	nc := natstest.Connect(t)
	v := open(t, nc, fileIn(t))
	s := secret("s1", "hunter2")
	require.NoError(t, v.Seal(t.Context(), owner, s))
	for name, change := range map[string]func(*domain.Owner, *domain.SecretRef){
		"another workspace":   func(o *domain.Owner, _ *domain.SecretRef) { o.Workspace = "other" },
		"another integration": func(o *domain.Owner, _ *domain.SecretRef) { o.ID = domain.NewID("acme", "ehr") },
		"another incarnation": func(o *domain.Owner, _ *domain.SecretRef) { o.Incarnation++ },
		"another id":          func(_ *domain.Owner, r *domain.SecretRef) { r.ID = "s2" },
		"another field":       func(_ *domain.Owner, r *domain.SecretRef) { r.Field = "auth.bearer_token_value" },
		"another version":     func(_ *domain.Owner, r *domain.SecretRef) { r.Version++ },
		"another destination": func(_ *domain.Owner, r *domain.SecretRef) {
			r.Destinations = []string{"https://evil.example.com:443 header x-api-key"}
		},
		"one more destination": func(_ *domain.Owner, r *domain.SecretRef) {
			r.Destinations = append([]string{"https://a:443 x"}, r.Destinations...)
		},
		"its destination split": func(_ *domain.Owner, r *domain.SecretRef) {
			r.Destinations = []string{"https://crm.example.com:443", " header x-api-key"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, ref := owner, s.Ref
			change(&o, &ref)
			move(t, nc, owner, s.Ref, o, ref)
			_, err := v.Open(t.Context(), o, ref)
			require.Equal(t, domain.Invalid, domain.KindOf(err), "%v", err)
			require.ErrorContains(t, err, "can't be opened")
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// move copies the stored message of a secret to the subject of another, as someone with
// access to the stream could.
func move(t *testing.T, nc *nats.Conn, from domain.Owner, ref domain.SecretRef, to domain.Owner, as domain.SecretRef) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "SECRETS")
	require.NoError(t, err)
	msg, err := stream.GetLastMsgForSubject(t.Context(), "secrets."+string(from.Workspace)+"."+string(from.ID)+"."+ref.ID)
	require.NoError(t, err)
	_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: "secrets." + string(to.Workspace) + "." + string(to.ID) + "." + as.ID, Header: nats.Header{
		"Wrapped-Key": msg.Header["Wrapped-Key"], "Root-Key": msg.Header["Root-Key"], // and none of those that name its origin
	}, Data: msg.Data})
	require.NoError(t, err)
}

func TestADestroyedSecretIsErasedFromTheDataFolder(t *testing.T) {
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	v := open(t, nc, fileIn(t))
	const planted = "planted-canary-8f1d"
	kept, replaced := secret("kept", planted+"-kept"), secret("replaced", planted+"-replaced")
	require.NoError(t, v.Seal(t.Context(), owner, kept))
	require.NoError(t, v.Seal(t.Context(), owner, replaced))
	sealed := stored(t, nc, replaced.Ref)
	require.True(t, onDisk(t, dir, sealed), "the sealed form is on disk, or this test shows nothing")

	require.NoError(t, v.Destroy(t.Context(), owner, replaced.Ref))
	require.NoError(t, v.Destroy(t.Context(), owner, replaced.Ref), "destroying again succeeds")
	_, err := v.Open(t.Context(), owner, replaced.Ref)
	require.ErrorContains(t, err, "not in the vault")
	got, err := v.Open(t.Context(), owner, kept.Ref)
	require.NoError(t, err)
	require.Equal(t, planted+"-kept", got.Reveal())

	stop()
	require.False(t, onDisk(t, dir, sealed), "not even the sealed form of a destroyed secret is left")
	for _, form := range []string{planted, base64.StdEncoding.EncodeToString([]byte(planted)), hex.EncodeToString([]byte(planted))} {
		require.False(t, onDisk(t, dir, []byte(form)), "no secret is ever on disk in the clear")
	}
}

// stored returns the sealed bytes of a secret.
func stored(t *testing.T, nc *nats.Conn, ref domain.SecretRef) []byte {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "SECRETS")
	require.NoError(t, err)
	msg, err := stream.GetLastMsgForSubject(t.Context(), "secrets.acme."+string(owner.ID)+"."+ref.ID)
	require.NoError(t, err)
	return msg.Data
}

func onDisk(t *testing.T, dir string, what []byte) bool {
	t.Helper()
	found := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, what)
		return err
	}))
	return found
}

func TestAnotherRootKeyIsRefusedAtStart(t *testing.T) {
	nc := natstest.Connect(t)
	right := fileIn(t)
	open(t, nc, right)
	none := fileIn(t)
	_, err := vault.Open(t.Context(), nc, none, 1)
	require.ErrorIs(t, err, vault.ErrWrongRootKey)
	require.NoFileExists(t, none.File, "no new keyset is created, which could open nothing")
	open(t, natstest.Connect(t), none)
	_, err = vault.Open(t.Context(), nc, none, 1)
	require.ErrorIs(t, err, vault.ErrWrongRootKey)
	open(t, nc, right)
}

func TestTheRootKeyFileIsReadableByItsOwnerOnly(t *testing.T) {
	keys := fileIn(t)
	open(t, natstest.Connect(t), keys)
	info, err := os.Stat(keys.File)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o400), info.Mode().Perm())
	require.NoError(t, os.Chmod(keys.File, 0o600))
	require.NoError(t, os.WriteFile(keys.File, []byte("garbage"), 0o600))
	_, err = vault.Open(t.Context(), natstest.Connect(t), keys, 1)
	require.ErrorContains(t, err, "root keyset")
}

func TestWithoutTheRootKeyFileNothingIsSealedAndStoredSecretsOpen(t *testing.T) {
	keys := fileIn(t)
	v := open(t, natstest.Connect(t), keys)
	require.NoError(t, v.Seal(t.Context(), owner, secret("s1", "hunter2")))
	require.NoError(t, os.Rename(keys.File, keys.File+".away"))
	require.Equal(t, domain.Unavailable, domain.KindOf(v.Seal(t.Context(), owner, secret("s2", "x"))))
	got, err := v.Open(t.Context(), owner, secret("s1", "").Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())
	require.NoError(t, os.Rename(keys.File+".away", keys.File))
	require.NoError(t, v.Seal(t.Context(), owner, secret("s2", "x")))
}

func TestTheRootKeyMayComeFromTheEnvironment(t *testing.T) {
	nc := natstest.Connect(t)
	keys := fileIn(t)
	s := secret("s1", "hunter2")
	require.NoError(t, open(t, nc, keys).Seal(t.Context(), owner, s))
	text, err := os.ReadFile(keys.File)
	require.NoError(t, err)
	got, err := open(t, nc, vault.RootKeys{Keyset: string(text)}).Open(t.Context(), owner, s.Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())
}

func TestARotationRewrapsEverySecretUnderARunningService(t *testing.T) {
	nc := natstest.Connect(t)
	keys := fileIn(t)
	running, tool := open(t, nc, keys), open(t, nc, keys)
	derived, err := running.DeriveKey("cursors")
	require.NoError(t, err)
	var all []domain.SealedSecret
	for n := range 20 {
		s := secret("s"+string(rune('a'+n)), strings.Repeat("x", n+1))
		all = append(all, s)
		require.NoError(t, running.Seal(t.Context(), owner, s))
	}
	for round := range 3 {
		passes := 0
		r, err := tool.RotateRoot(t.Context(), func(vault.Rotation) { passes++ })
		require.NoError(t, err)
		require.Equal(t, vault.Rotation{Total: len(all), Rewrapped: len(all)}, r, "round %d", round)
		require.Equal(t, len(all), passes)
		for _, s := range all {
			got, err := running.Open(t.Context(), owner, s.Ref)
			require.NoError(t, err, "the running service still opens secrets, round %d", round)
			require.Equal(t, s.Secret.Reveal(), got.Reveal())
		}
		one := secret("new"+string(rune('a'+round)), "sealed after the rotation")
		require.NoError(t, running.Seal(t.Context(), owner, one))
		all = append(all, one)
	}
	again, err := open(t, nc, keys).DeriveKey("cursors")
	require.NoError(t, err)
	require.Equal(t, derived, again, "derived keys stay the same")
}

func TestOldRootKeysAreDroppedWhenNothingUsesThem(t *testing.T) {
	nc := natstest.Connect(t)
	keys := fileIn(t)
	v := open(t, nc, keys)
	require.NoError(t, v.Seal(t.Context(), owner, secret("s1", "hunter2")))
	var sizes []int64
	for range 4 {
		_, err := v.RotateRoot(t.Context(), func(vault.Rotation) {})
		require.NoError(t, err)
		info, err := os.Stat(keys.File)
		require.NoError(t, err)
		sizes = append(sizes, info.Size())
	}
	require.InDelta(t, sizes[1], sizes[3], 16, "the keyset doesn't grow with each rotation")
}

func TestARotationFinishesAnInterruptedOne(t *testing.T) {
	nc := natstest.Connect(t)
	v := open(t, nc, fileIn(t))
	s := secret("s1", "hunter2")
	require.NoError(t, v.Seal(t.Context(), owner, s))
	move(t, nc, owner, s.Ref, owner, s.Ref) // stored again, and the previous revision not shredded yet
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := v.RotateRoot(ctx, func(vault.Rotation) {})
	require.NoError(t, err)
	require.Equal(t, 1, r.Total, "one revision is left")
	require.Zero(t, r.Remaining)
	got, err := v.Open(t.Context(), owner, s.Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())
}

func TestARotationContinuesWhenASecretIsDestroyed(t *testing.T) {
	v := open(t, natstest.Connect(t), fileIn(t))
	kept, destroyed := secret("s1", "hunter2"), secret("s2", "hunter3")
	require.NoError(t, v.Seal(t.Context(), owner, kept))
	require.NoError(t, v.Seal(t.Context(), owner, destroyed))
	_, err := v.RotateRoot(t.Context(), func(vault.Rotation) { require.NoError(t, v.Destroy(t.Context(), owner, destroyed.Ref)) })
	require.NoError(t, err)
	got, err := v.Open(t.Context(), owner, kept.Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Reveal())
	_, err = v.Open(t.Context(), owner, destroyed.Ref)
	require.ErrorContains(t, err, "not in the vault", "a destroyed secret stays destroyed")
}

func TestConcurrentRotationsLoseNoRootKey(t *testing.T) {
	nc := natstest.Connect(t)
	keys := fileIn(t)
	s := secret("s1", "hunter2")
	require.NoError(t, open(t, nc, keys).Seal(t.Context(), owner, s))
	tools := []*vault.Vault{open(t, nc, keys), open(t, nc, keys), open(t, nc, keys)}
	var wg sync.WaitGroup
	for range 3 {
		for _, tool := range tools {
			wg.Go(func() {
				if _, err := tool.RotateRoot(t.Context(), func(vault.Rotation) {}); err != nil {
					require.ErrorIs(t, err, vault.ErrRotating)
				}
			})
		}
		wg.Wait()
		got, err := open(t, nc, keys).Open(t.Context(), owner, s.Ref)
		require.NoError(t, err)
		require.Equal(t, "hunter2", got.Reveal())
	}
}

func TestSealedSecretsAreListed(t *testing.T) {
	v := open(t, natstest.Connect(t), fileIn(t))
	want := []string{"s1", "s2", "s3"}
	for _, id := range want {
		require.NoError(t, v.Seal(t.Context(), owner, secret(id, "x")))
	}
	var got []string
	require.NoError(t, v.Each(t.Context(), func(s vault.Stored) error {
		require.Equal(t, domain.Owner{Workspace: owner.Workspace, ID: owner.ID}, s.Owner)
		require.Equal(t, s.ID, s.Ref().ID)
		require.False(t, s.At.IsZero())
		got = append(got, s.ID)
		return nil
	}))
	require.Equal(t, want, got)
}

func TestAnySecretOpensUnchanged(t *testing.T) {
	v := open(t, natstest.Connect(t), fileIn(t))
	rapid.Check(t, func(rt *rapid.T) {
		s := secret(rapid.StringMatching(`[a-z0-9-]{1,40}`).Draw(rt, "id"), rapid.String().Draw(rt, "text"))
		s.Ref.Destinations = rapid.SliceOfN(rapid.String(), 0, 4).Draw(rt, "destinations")
		require.NoError(rt, v.Seal(context.Background(), owner, s))
		got, err := v.Open(context.Background(), owner, s.Ref)
		require.NoError(rt, err)
		require.Equal(rt, s.Secret.Reveal(), got.Reveal())
	})
}

func TestWithoutNATSTheVaultIsUnavailable(t *testing.T) {
	nc, stop := natstest.Start(t, t.TempDir())
	v := open(t, nc, fileIn(t))
	stop()
	require.Equal(t, domain.Unavailable, domain.KindOf(v.Seal(t.Context(), owner, secret("s1", "x"))))
	_, err := v.Open(t.Context(), owner, secret("s1", "x").Ref)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.Equal(t, domain.Unavailable, domain.KindOf(v.Destroy(t.Context(), owner, secret("s1", "x").Ref)))
}

func TestOfSeveralProcessesThatReplaceASecretOneSucceeds(t *testing.T) {
	nc, dir := natstest.Connect(t), fileIn(t)
	v := open(t, nc, dir)
	s := secret("s1", "v0")
	require.NoError(t, v.Seal(t.Context(), owner, s))
	_, revision, err := v.OpenLatest(t.Context(), owner, s.Ref)
	require.NoError(t, err)
	var racing sync.WaitGroup
	results := make([]error, 8)
	for n := range results {
		racing.Go(func() {
			_, results[n] = v.Replace(t.Context(), owner, secret("s1", "v1"), revision)
		})
	}
	racing.Wait()
	succeeded := 0
	for _, err := range results {
		if err == nil {
			succeeded++
			continue
		}
		require.ErrorIs(t, err, vault.ErrReplaced)
	}
	require.Equal(t, 1, succeeded)
	got, next, err := v.OpenLatest(t.Context(), owner, s.Ref)
	require.NoError(t, err)
	require.Equal(t, "v1", got.Reveal())
	require.Greater(t, next, revision)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "SECRETS")
	require.NoError(t, err)
	_, err = stream.GetMsg(t.Context(), revision)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound, "the replaced revision is destroyed")
	require.NoError(t, v.Destroy(t.Context(), owner, s.Ref))
	_, err = v.Replace(t.Context(), owner, s, next)
	require.ErrorIs(t, err, vault.ErrReplaced, "what was destroyed stays destroyed")
}

func TestTheRootKeysetIsEncryptedByAMasterKey(t *testing.T) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	master, err := aead.New(handle)
	require.NoError(t, err)
	nc := natstest.Connect(t)
	keys, sealed := fileIn(t), secret("s1", "hunter2")
	require.NoError(t, open(t, nc, keys).Seal(t.Context(), owner, sealed))

	encrypted := keys
	encrypted.Master = master
	_, err = vault.Open(t.Context(), nc, encrypted, 1)
	require.ErrorIs(t, err, vault.ErrClearText)
	for _, changed := range []bool{true, false} {
		is, err := vault.EncryptRoot(encrypted)
		require.NoError(t, err)
		require.Equal(t, changed, is)
	}
	text, err := os.ReadFile(keys.File)
	require.NoError(t, err)
	require.Contains(t, string(text), "encryptedKeyset")
	_, err = vault.Open(t.Context(), nc, keys, 1)
	require.ErrorContains(t, err, "--root-key-uri")
	again := open(t, nc, encrypted)
	opened, err := again.Open(t.Context(), owner, sealed.Ref)
	require.NoError(t, err)
	require.Equal(t, "hunter2", opened.Reveal())

	_, err = again.RotateRoot(t.Context(), func(vault.Rotation) {})
	require.NoError(t, err)
	rotated, err := os.ReadFile(keys.File)
	require.NoError(t, err)
	require.NotEqual(t, text, rotated)
	require.Contains(t, string(rotated), "encryptedKeyset")
}
