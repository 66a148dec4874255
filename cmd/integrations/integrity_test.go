package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// logStream is the folder of the log in a data folder.
func logStream(data string) string {
	return filepath.Join(data, "nats", "jetstream", "$G", "streams", "INTEGRATIONS")
}

func (p *process) ready() (int, string) {
	p.t.Helper()
	res, err := http.Get(p.url + "/readyz")
	require.NoError(p.t, err)
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	require.NoError(p.t, json.NewDecoder(res.Body).Decode(&body))
	return res.StatusCode, body.Code + ": " + body.Detail
}

// isReady waits until /readyz answers with a status, and a text in its answer.
func (p *process) isReady(status int, text string) {
	p.t.Helper()
	got, reason := p.ready()
	for until := time.Now().Add(time.Minute); got != status || !strings.Contains(reason, text); got, reason = p.ready() {
		require.True(p.t, time.Now().Before(until), "/readyz answers %d with %q, not %d with %q", got, reason, status, text)
		time.Sleep(20 * time.Millisecond)
	}
}

// verified runs verify.
func verified(t *testing.T, data string) (exit int, found struct{ Events, Integrations, Secrets, Accepted int }) {
	t.Helper()
	exit, out := tool(t, "verify", "--json", "--data", data)
	require.NoError(t, json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &found), out)
	t.Log(out)
	return exit, found
}

func TestALogThatLostItsEndIsReadOnlyUntilAnOperatorAcceptsIt(t *testing.T) {
	slow(t)
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	for _, name := range []string{"a1", "b1", "c1", "d1"} {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "secret-"+name))
	}
	require.Zero(t, p.stop())
	blocks, err := filepath.Glob(filepath.Join(logStream(data), "msgs", "*.blk"))
	require.NoError(t, err)
	info, err := os.Stat(blocks[0])
	require.NoError(t, err)
	require.NoError(t, os.Truncate(blocks[0], info.Size()*6/10))

	p = startUnready(t, data)
	p.isReady(http.StatusServiceUnavailable, "log_incomplete: the event log is incomplete: 2 events are missing (positions 3 to 4)")
	refused := p.must(http.StatusServiceUnavailable, http.MethodPost, all, crm("e1", "x"))
	require.Contains(t, refused, "log_incomplete")
	p.must(http.StatusServiceUnavailable, http.MethodDelete, all+"/a1", "")
	p.must(http.StatusOK, http.MethodGet, all+"/a1", "")
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, "/metrics", ""), "integrations_log_missing_events 2")
	exit, out := tool(t, "status", "--data", data)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "2 events are missing (positions 3 to 4)")

	for _, refused := range [][]string{{"keys", "rotate-root"}, {"backup", filepath.Join(t.TempDir(), "backup")}} {
		exit, out = tool(t, append(refused, "--data", data)...)
		require.Equal(t, 1, exit)
		require.Contains(t, out, "the event log is incomplete")
	}

	exit, out = tool(t, "accept-loss", "--data", data)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "run again with --apply")
	exit, out = tool(t, "accept-loss", "--data", data, "--apply")
	require.Zero(t, exit, out)
	p.isReady(http.StatusOK, "")
	p.must(http.StatusCreated, http.MethodPost, all, crm("e1", "x"))
	require.Zero(t, p.stop())
	p = startProcess(t, data)
	p.must(http.StatusOK, http.MethodGet, all+"/e1", "")
	exit, out = tool(t, "status", "--data", data)
	require.Zero(t, exit, out)
}

// A check must not destroy what may be the last copy of what the log has lost.
func TestVerifyChangesNothingWhileEventsAreMissing(t *testing.T) {
	slow(t)
	t.Parallel()
	for name, c := range map[string]struct {
		lose  func(t *testing.T, data, earlier string)
		found string
	}{
		"a block is cut": {func(t *testing.T, data, _ string) {
			t.Helper()
			blocks, err := filepath.Glob(filepath.Join(logStream(data), "msgs", "*.blk"))
			require.NoError(t, err)
			info, err := os.Stat(blocks[0])
			require.NoError(t, err)
			require.NoError(t, os.Truncate(blocks[0], info.Size()*6/10))
		}, "wrong: events are missing from the log, or can't be read: positions 3 to 4"},
		"an earlier copy": {func(t *testing.T, data, earlier string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(filepath.Join(data, "nats")))
			require.NoError(t, os.CopyFS(filepath.Join(data, "nats"), os.DirFS(earlier)))
		}, "wrong: events are missing from the end of the log: positions 3 to 4 were on disk before"},
		"an earlier copy and its mark": {func(t *testing.T, data, earlier string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(filepath.Join(data, "nats")))
			require.NoError(t, os.CopyFS(filepath.Join(data, "nats"), os.DirFS(earlier)))
			require.NoError(t, os.Remove(filepath.Join(data, "log.mark")))
		}, "wrong: the read model shows the log up to position 4, and the log ends at 2"},
	} {
		t.Run(name, func(t *testing.T) {
			data, earlier := t.TempDir(), t.TempDir()
			for _, names := range [][]string{{"a1", "b1"}, {"c1", "d1"}} {
				p := startProcess(t, data, "--probe-interval=0s")
				for _, name := range names {
					p.must(http.StatusCreated, http.MethodPost, all, crm(name, "secret-"+name))
				}
				require.Zero(t, p.stop())
				if names[0] == "a1" {
					require.NoError(t, os.CopyFS(earlier, os.DirFS(filepath.Join(data, "nats"))))
				}
			}
			c.lose(t, data, earlier)
			before := readModelFiles(t, data)
			for range 2 {
				exit, out := tool(t, "verify", "--data", data)
				require.Equal(t, 1, exit, out)
				require.Contains(t, out, c.found)
				require.Equal(t, 2, strings.Count(out, "the read model differs from the log at version 1"), out)
				require.Equal(t, before, readModelFiles(t, data))
			}
		})
	}
}

// readModelFiles returns what is in the files of the read model.
func readModelFiles(t *testing.T, data string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, "read*"))
	require.NoError(t, err)
	content := map[string]string{}
	for _, path := range found {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		content[filepath.Base(path)] = string(text)
	}
	return content
}

// A late mount: the log is away for one start.
func TestALogThatIsAwayForOneStartCostsNothing(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	for _, name := range []string{"a1", "b1", "c1"} {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "secret-"+name))
	}
	key := p.key
	require.Zero(t, p.stop())
	require.NoError(t, os.Rename(filepath.Join(data, "nats"), filepath.Join(data, "away")))

	p = startUnready(t, data)
	p.isReady(http.StatusServiceUnavailable, "log_incomplete")
	require.Zero(t, p.stop())
	kept, err := os.ReadFile(filepath.Join(data, "operator.key"))
	require.NoError(t, err)
	require.Equal(t, key, strings.TrimSpace(string(kept)), "the key is not made again")

	require.NoError(t, os.RemoveAll(filepath.Join(data, "nats")))
	require.NoError(t, os.Rename(filepath.Join(data, "away"), filepath.Join(data, "nats")))
	p = startProcess(t, data, "--probe-interval=0s")
	require.Equal(t, key, p.key)
	p.must(http.StatusOK, http.MethodGet, all+"/c1", "")
	exit, found := verified(t, data)
	require.Zero(t, exit)
	require.Equal(t, 3, found.Secrets)
}

// startUnready starts a service that answers and is not ready.
func startUnready(t *testing.T, data string) *process {
	t.Helper()
	return startProcessUntil(t, data, "answering reads only", "--probe-interval=0s")
}

func TestADamagedMarkIsNamed(t *testing.T) {
	data := t.TempDir()
	require.Zero(t, startProcess(t, data, "--probe-interval=0s").stop())
	for _, text := range []string{"", "\x00\x00", "no mark"} {
		require.NoError(t, os.WriteFile(filepath.Join(data, "log.mark"), []byte(text), 0o600))
		exit, out := tool(t, "serve", "--data", data, "--listen=127.0.0.1:0")
		require.Equal(t, 1, exit)
		require.Contains(t, out, "log.mark is damaged")
		require.Contains(t, out, "move the file away")
	}
}

// A vault that is created again beside a log with events would hide that secrets are gone.
func TestASecretStreamThatIsGoneIsNotMadeAnewUnasked(t *testing.T) {
	slow(t)
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	conn, _, err := storeFlags{Data: data}.attach(quiet())
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn.NATS)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "SECRETS"))
	p.isReady(http.StatusServiceUnavailable, "SECRETS")
	require.Zero(t, p.stop())

	for _, command := range [][]string{{"serve", "--listen=127.0.0.1:0"}, {"verify"}, {"sweep"}, {"keys", "rotate-root"}} {
		exit, out := tool(t, append(command, "--data", data)...)
		require.Equal(t, 1, exit, command)
		require.Contains(t, out, "the stream SECRETS, which holds their secrets, is not there", command)
	}
	exit, out := tool(t, "accept-loss", "--data", data)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "the secrets of its events are gone")
	exit, out = tool(t, "accept-loss", "--data", data, "--apply")
	require.Zero(t, exit, out)
	p = startProcess(t, data, "--probe-interval=0s")
	p.isReady(http.StatusOK, "")
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"auth": {"bearer_token_value": "given again"}}`)
}

func TestTheStreamsOfTheServiceAreListed(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	conn, _, err := storeFlags{Data: data}.attach(quiet())
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn.NATS)
	require.NoError(t, err)
	var there []string
	list := js.StreamNames(t.Context())
	for name := range list.Name() {
		there = append(there, name)
	}
	require.NoError(t, list.Err())
	slices.Sort(there)
	listed := ownStreams()
	slices.Sort(listed)
	require.Equal(t, listed, there)

	require.NoError(t, js.DeleteStream(t.Context(), "PROBE_WORK"))
	p.isReady(http.StatusServiceUnavailable, "streams_missing: streams are missing on the NATS server: PROBE_WORK")
	require.Zero(t, p.stop())
	p = startProcess(t, data)
	p.isReady(http.StatusOK, "")
}
