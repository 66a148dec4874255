package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/backup"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// replaceSecrets gives integrations other secrets, and makes and deletes others,
// until the function that it returns is called.
func replaceSecrets(p *process, names []string) (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var working sync.WaitGroup
	for w := range 8 {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := names[(n*8+w)%len(names)]
				_, _, _ = p.do(http.MethodPut, all+"/"+name, fmt.Sprintf(`{"auth": {"bearer_token_value": "t-%d-%d"}}`, w, n))
				passing := fmt.Sprintf("passing-%d-%d", w, n)
				_, _, _ = p.do(http.MethodPost, all, crm(passing, "t"))
				if n%2 == 0 {
					_, _, _ = p.do(http.MethodDelete, all+"/"+passing, "")
				}
			}
		})
	}
	return func() { cancel(); working.Wait() }
}

// versions returns the versions of integrations by name.
func (p *process) versions(names []string) map[string]uint64 {
	p.t.Helper()
	all1 := map[string]uint64{}
	for _, name := range names {
		var i struct {
			Version uint64 `json:"version"`
		}
		require.NoError(p.t, json.Unmarshal([]byte(p.must(http.StatusOK, http.MethodGet, all+"/"+name, "")), &i))
		all1[name] = i.Version
	}
	return all1
}

func named(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return names
}

// takeBackup makes a backup of a service under load, and returns the file and what
// was acknowledged before it began.
func takeBackup(t *testing.T, p *process, flags ...string) (file string, before map[string]uint64) {
	t.Helper()
	names := named("kept", 24)
	for _, name := range names {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "first"))
	}
	stop := replaceSecrets(p, names)
	defer stop()
	before = p.versions(names)
	file = filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, append([]string{"backup", file, "--data", p.data}, flags...)...)
	require.Zero(t, exit, out)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	return file, before
}

// holdsAtLeast checks that integrations are there, at these versions or later ones.
func (p *process) holdsAtLeast(before map[string]uint64) {
	p.t.Helper()
	for name, version := range before {
		require.GreaterOrEqual(p.t, p.versions([]string{name})[name], version, name)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
}

func TestABackupUnderLoadIsRestoredWhole(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	file, before := takeBackup(t, p)
	exit, out := tool(t, "backup", file, "--data", data)
	require.Equal(t, 1, exit, "it is not written over")
	require.Contains(t, out, "exists already")
	key := p.key
	p.kill()

	restored := t.TempDir()
	exit, out = tool(t, "restore", file, "--data", restored)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "the root keyset is not in the backup")
	copyFile(t, filepath.Join(data, "root.keyset"), filepath.Join(restored, "root.keyset"))
	copyFile(t, filepath.Join(data, "operator.key"), filepath.Join(restored, "operator.key"))
	exit, out = tool(t, "restore", file, "--data", restored)
	require.Zero(t, exit, out)
	exit, _ = verified(t, restored)
	require.Zero(t, exit)
	exit, out = tool(t, "restore", file, "--data", restored)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "exists already")

	p = startProcess(t, restored, "--probe-interval=0s")
	require.Equal(t, key, p.key)
	p.holdsAtLeast(before)
	p.must(http.StatusCreated, http.MethodPost, all, crm("after", "t"))
}

func TestABackupMayHoldTheRootKeyset(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	require.Zero(t, p.stop())
	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, "backup", file, "--data", data, "--with-root-keyset") // of a service that does not run
	require.Zero(t, exit, out)
	restored := t.TempDir()
	exit, out = tool(t, "restore", file, "--data", restored, "--json")
	require.Zero(t, exit, out)
	exit, found := verified(t, restored)
	require.Zero(t, exit)
	require.Equal(t, 1, found.Secrets)

	// With another root key nothing is restored.
	other := t.TempDir()
	require.Zero(t, startProcess(t, other).stop())
	wrong := t.TempDir()
	copyFile(t, filepath.Join(other, "root.keyset"), filepath.Join(wrong, "root.keyset"))
	exit, out = tool(t, "restore", file, "--data", wrong)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "the root keyset does not open the stored secrets")
	require.NoError(t, os.Remove(filepath.Join(wrong, "root.keyset")))
	exit, out = tool(t, "restore", file, "--data", wrong) // the failure left nothing
	require.Zero(t, exit, out)
	exit, _ = verified(t, wrong)
	require.Zero(t, exit)
}

// A root keyset that is read before a rotation does not open secrets read after it.
func TestABackupDuringARotationOfTheRootKeyIsRefused(t *testing.T) {
	data := t.TempDir()
	require.Zero(t, startProcess(t, data, "--probe-interval=0s").stop())
	flags := storeFlags{Data: data}
	conn, events, _, err := flags.attachLog(console{ctx: t.Context(), out: io.Discard, err: io.Discard, log: quiet()})
	require.NoError(t, err)
	defer conn.Close()
	keysets := []string{"before", "after"}
	from := backup.Source{NATS: conn.NATS, Events: events, Lease: commands.BackupLease, Now: clock, Progress: func(string, int64, int64) {}, RootKeyset: func() ([]byte, error) {
		next := keysets[0]
		keysets = keysets[1:]
		return []byte(next), nil
	}}
	_, err = backup.Write(t.Context(), from, io.Discard, t.TempDir())
	require.ErrorContains(t, err, "the root key was rotated during the backup")
}

// A restore that was killed leaves some of the streams. What is missing is not taken for
// what never was.
func TestARestoreThatWasCutShortIsNotGoneOnWith(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	require.Zero(t, p.stop())
	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, "backup", file, "--data", data, "--with-root-keyset")
	require.Zero(t, exit, out)

	cut := t.TempDir()
	flags := storeFlags{Data: cut}
	conn, err := flags.connect(quiet())
	require.NoError(t, err)
	require.NoError(t, eventstore.BeginRestore(t.Context(), conn.NATS, 1, false))
	require.ErrorIs(t, eventstore.BeginRestore(t.Context(), conn.NATS, 1, false), eventstore.ErrRestoring)
	js, err := jetstream.New(conn.NATS)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, DenyDelete: true, DenyPurge: true})
	require.NoError(t, err)
	conn.Close()

	for _, args := range [][]string{{"serve", "--listen=127.0.0.1:0"}, {"keys", "list", "--operator"}, {"status"}, {"verify"}} {
		exit, out := tool(t, append(args, "--data", cut)...)
		require.Equal(t, 1, exit, args)
		require.Contains(t, out, "integrations restore FILE --again", args)
	}
	require.NoFileExists(t, filepath.Join(cut, "operator.key"))
	exit, _ = tool(t, "restore", file, "--data", cut)
	require.Equal(t, 1, exit)
	exit, out = tool(t, "restore", file, "--data", cut, "--again")
	require.Zero(t, exit, out)
	exit, out = tool(t, "restore", file, "--data", cut, "--again")
	require.Equal(t, 1, exit)
	require.Contains(t, out, "already has streams of a service", "a restore that ended is not undone")
	exit, found := verified(t, cut)
	require.Zero(t, exit)
	require.Equal(t, 1, found.Secrets)
}

func TestABackupThatWasCutOrChangedIsRefused(t *testing.T) {
	data := t.TempDir()
	require.Zero(t, startProcess(t, data).stop())
	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, "backup", file, "--data", data, "--with-root-keyset")
	require.Zero(t, exit, out)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	wrong := map[string][]byte{"empty": {}, "of another kind": []byte("no backup at all, and long enough for a checksum of some bytes"), "with more behind it": append(append([]byte{}, whole...), 0)}
	for n := range 8 {
		at := (2*n + 1) * len(whole) / 16
		wrong[fmt.Sprint("cut at ", at)] = whole[:at]
		changed := append([]byte{}, whole...)
		changed[at] ^= 1
		wrong[fmt.Sprint("changed at ", at)] = changed
	}
	for name, text := range wrong {
		to := t.TempDir()
		bad := filepath.Join(t.TempDir(), "bad")
		require.NoError(t, os.WriteFile(bad, text, 0o600))
		exit, out := tool(t, "restore", bad, "--data", to)
		require.Equal(t, 1, exit, name)
		require.Contains(t, out, "is not a complete backup", name)
		left, err := os.ReadDir(to)
		require.NoError(t, err)
		require.Empty(t, left, name)
	}
}

// From one server to a cluster, and from there to one server again.
func TestABackupMovesToAClusterAndBack(t *testing.T) {
	slow(t)
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	file, before := takeBackup(t, p)
	p.kill()

	cluster := natstest.SpawnCluster(t)
	node := t.TempDir()
	flags := append(cluster.Flags(), "--replicas=3", "--data", node)
	copyFile(t, filepath.Join(data, "root.keyset"), filepath.Join(node, "root.keyset"))
	copyFile(t, filepath.Join(data, "operator.key"), filepath.Join(node, "operator.key"))
	exit, out := tool(t, append([]string{"restore", file}, flags...)...)
	require.Zero(t, exit, out)
	p = startProcess(t, node, append(cluster.Flags(), "--replicas=3", "--probe-interval=0s")...)
	p.holdsAtLeast(before)
	exit, out = tool(t, append([]string{"verify"}, flags...)...)
	require.Zero(t, exit, out)

	again := filepath.Join(t.TempDir(), "again")
	exit, out = tool(t, append([]string{"backup", again, "--with-root-keyset"}, flags...)...)
	require.Zero(t, exit, out)
	exit, out = tool(t, append([]string{"restore", again}, flags...)...)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "exists already")
	exit, out = tool(t, append(append([]string{"restore", again}, cluster.Flags()...), "--data", t.TempDir())...)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "already has streams of a service")
	restored := t.TempDir()
	exit, out = tool(t, "restore", again, "--data", restored)
	require.Zero(t, exit, out)
	exit, found := verified(t, restored)
	require.Zero(t, exit)
	require.GreaterOrEqual(t, found.Integrations, len(before))
}

// Streams as versions before this one made them: compressed, and without a lineage.
func TestABackupOfAnEarlierVersionIsRestored(t *testing.T) {
	slow(t)
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	for _, name := range named("old", 5) {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
	}
	require.Zero(t, p.stop())
	conn, _, err := storeFlags{Data: data}.attach(quiet())
	require.NoError(t, err)
	js, err := jetstream.New(conn.NATS)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), "LOG_STATE"))
	stream, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.Compression = jetstream.S2Compression
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)
	conn.Close()
	require.NoError(t, os.Remove(filepath.Join(data, "log.mark")))

	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, "backup", file, "--data", data, "--with-root-keyset")
	require.Zero(t, exit, out)
	restored := t.TempDir()
	exit, out = tool(t, "restore", file, "--data", restored)
	require.Zero(t, exit, out)
	exit, found := verified(t, restored)
	require.Zero(t, exit)
	require.Equal(t, 5, found.Integrations)
	conn, _, err = storeFlags{Data: restored}.attach(quiet())
	require.NoError(t, err)
	defer conn.Close()
	js, err = jetstream.New(conn.NATS)
	require.NoError(t, err)
	stream, err = js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	require.Equal(t, jetstream.NoCompression, stream.CachedInfo().Config.Compression)
}

// What followed the backup is gone, and its positions are given out again: nobody who
// saw it waits for a position that means something else, or passes over an event.
func TestReadersOfALogThatWasRestored(t *testing.T) {
	slow(t)
	t.Parallel()
	hooks := newHook(t)
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, "/v1/acme/webhook-destinations", fmt.Sprintf(`{"url": %q, "event_types": ["*"]}`, hooks.URL))
	for _, name := range named("kept", 3) {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
	}
	hooks.has(t, 3)
	file := filepath.Join(t.TempDir(), "backup")
	exit, out := tool(t, "backup", file, "--data", data, "--with-root-keyset")
	require.Zero(t, exit, out)
	for _, name := range named("lost", 4) {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
	}
	hooks.has(t, 7)
	require.Zero(t, p.stop())

	restored := t.TempDir()
	exit, out = tool(t, "restore", file, "--data", restored)
	require.Zero(t, exit, out)
	copyFile(t, filepath.Join(data, "operator.key"), filepath.Join(restored, "operator.key"))
	p = startProcess(t, restored, "--probe-interval=0s")
	for _, name := range named("new", 5) {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
	}
	hooks.has(t, 12)
	require.Len(t, hooks.ids(), 12, "each webhook has an id of its own")
	stream := func(last string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+all+"/events/stream", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+p.key)
		req.Header.Set("Last-Event-ID", last)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, stream("3"), "both logs have it")
	require.Equal(t, http.StatusUnprocessableEntity, stream("5"), "it is of the log before")
}

// hook is a receiver of webhooks.
type hook struct {
	*httptest.Server
	mu  sync.Mutex
	got []string // their ids
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, r.Header.Get("Webhook-Id"))
	}))
	t.Cleanup(h.Close)
	return h
}

// ids are the ids of what was received, each once.
func (h *hook) ids() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]bool{}
	for _, id := range h.got {
		all[id] = true
	}
	return all
}

func (h *hook) has(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.ids()) >= count }, time.Minute, 10*time.Millisecond, "%d webhooks", count)
}
