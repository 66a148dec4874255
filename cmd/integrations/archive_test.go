package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
)

// measured runs a command as a process, and logs how long it took and how much memory.
func measured(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := program(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	since := time.Now()
	require.NoError(t, cmd.Start())
	ended, most := make(chan struct{}), make(chan string)
	go func() { most <- memoryOf(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	took := time.Since(since)
	close(ended)
	memory := <-most
	require.NoError(t, err, errs.String())
	busy := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%.60s: %s, %s of a CPU, %s at most, %d bytes written", strings.Join(args, " "), took.Round(time.Millisecond), busy.Round(time.Millisecond), memory, out.Len())
	return out.String()
}

// memoryOf returns how much memory a process had at most, as Linux shows it while it runs. (What it
// reports at the end has the memory of its parent too.)
func memoryOf(process int, ended <-chan struct{}) (most string) {
	for look := time.NewTicker(20 * time.Millisecond); ; {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process)) // none elsewhere
		if _, found, ok := strings.Cut(string(status), "VmHWM:"); ok {
			most, _, _ = strings.Cut(strings.TrimSpace(found), "\n")
		}
		select {
		case <-look.C:
		case <-ended:
			look.Stop()
			return most
		}
	}
}

// plainCRM is an integration without a secret.
const plainCRM = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "endpoints": [
	{"name": "patients", "description": "Lists patients", "method": "GET", "path": "/patients"}]}`

// fill adds events to a log that are like the first one, plainCRM: ten of each integration. One of
// the first can't be read, and one that is the last of its integration.
func fill(t *testing.T, data string, events int) (head uint64) {
	t.Helper()
	address, err := os.ReadFile(filepath.Join(data, "nats.url"))
	require.NoError(t, err)
	return fillAt(t, strings.TrimSpace(string(address)), events)
}

// fillStopped is fill for a service that is stopped, by a server that doesn't sync.
func fillStopped(t *testing.T, data string, events int) (head uint64) {
	t.Helper()
	server := natstest.Spawn(t, filepath.Join(data, "nats"), false)
	defer server.Kill()
	old, err := filepath.Glob(filepath.Join(data, "read*"))
	require.NoError(t, err)
	for _, file := range old { // made again from the last events, instead of from each
		require.NoError(t, os.Remove(file))
	}
	return fillAt(t, server.URL, events)
}

func fillAt(t *testing.T, url string, events int) (head uint64) {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	require.NoError(t, err)
	log, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	first, err := log.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	id := string(domain.NewID("acme", "crm"))
	names := max(events/10, 1)
	batch, err := jetstreamext.NewBatchPublisher(js)
	require.NoError(t, err)
	for n := range events {
		name := fmt.Sprintf("crm-%d", n%names)
		other := string(domain.NewID("acme", name))
		msg := nats.NewMsg("integrations.acme." + other)
		for header, values := range first.Header {
			if !strings.HasPrefix(header, "Nats-") { // conditions of the first
				msg.Header[header] = values
			}
		}
		msg.Header["ce-id"], msg.Header["ce-subject"] = []string{fmt.Sprint(n)}, []string{other}
		msg.Data = bytes.ReplaceAll(bytes.ReplaceAll(first.Data, []byte(id), []byte(other)), []byte(`"crm"`), []byte(strconv.Quote(name)))
		msg.Data = bytes.ReplaceAll(msg.Data, []byte(`"version":1`), fmt.Appendf(nil, `"version":%d`, n/names+1))
		msg.Data = bytes.ReplaceAll(msg.Data, []byte(`"CRM"`), fmt.Appendf(nil, `"CRM in version %d"`, n))
		if n == 0 || n == events-1 {
			msg.Header, msg.Data = nil, []byte("?\n")
		}
		if events > large {
			_, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute))
			require.NoError(t, err)
			continue
		}
		if n%500 < 499 && n < events-1 {
			require.NoError(t, batch.AddMsg(msg))
			continue
		}
		_, err := batch.CommitMsg(t.Context(), msg)
		require.NoError(t, err)
		batch, err = jetstreamext.NewBatchPublisher(js)
		require.NoError(t, err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("the server did not acknowledge all events within a minute")
	}
	info, err := log.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, events+1, info.State.LastSeq)
	return info.State.LastSeq
}

// dump returns what the live read model in a data folder shows, in the order of its tables.
func dump(t *testing.T, data string) string {
	t.Helper()
	live, err := os.ReadFile(filepath.Join(data, "read.generation"))
	require.NoError(t, err)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(data, "read-"+strings.TrimSpace(string(live))+".db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	text, sum := beginning{}, sha256.New()
	for _, table := range []string{"parked", "integrations", "probes", "counts", "approvals", "authorizations", "positions"} {
		columns := "*"
		switch table {
		case "positions": // the rest is the random name of the file
			columns = "integrations, probes, approvals"
		case "parked": // a row before a later document is no longer shown
			table = "parked k WHERE NOT EXISTS (SELECT 1 FROM integrations i WHERE i.workspace = k.workspace AND i.id = k.id AND i.position > k.position)"
		}
		dumpTable(t, io.MultiWriter(sum, &text), db, table, columns)
	}
	return fmt.Sprintf("%x\n%s", sum.Sum(nil), text.String())
}

// sizeOfFolder returns how many bytes the log of a service takes on disk.
func sizeOfFolder(t *testing.T, data string) (size int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(data, "nats", "jetstream", "$G", "streams", "INTEGRATIONS"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}))
	return size
}

// beginning keeps the beginning of what is written to it: twice the whole of a large read model
// would not fit into memory.
type beginning struct{ bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	if b.Len() < 100<<20 {
		return b.Buffer.Write(p)
	}
	return len(p), nil
}

func dumpTable(t *testing.T, to io.Writer, db *sql.DB, table, columns string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT "+columns+" FROM "+table+" ORDER BY 1, 2, 3")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	names, err := rows.Columns()
	require.NoError(t, err)
	values, into := make([]any, len(names)), make([]any, len(names))
	for n := range values {
		into[n] = &values[n]
	}
	for rows.Next() {
		require.NoError(t, rows.Scan(into...))
		_, err := fmt.Fprintf(to, "%s %q\n", strings.Fields(table)[0], values)
		require.NoError(t, err)
	}
	require.NoError(t, rows.Err())
}

// large is from how many events on TestALogIsReadFromItsArchiveByteForByte is a measurement.
const large = 100_000

// ARCHIVE_EVENTS=1000000 go test -v -run ArchiveByteForByte ./cmd/integrations measures a large log.
// S3_PLACE=s3://BUCKET, with AWS_ENDPOINT_URL and credentials in the environment, has the archive
// in a bucket.
func TestALogIsReadFromItsArchiveByteForByte(t *testing.T) {
	slow(t)
	events := 300
	if number := os.Getenv("ARCHIVE_EVENTS"); number != "" {
		var err error
		events, err = strconv.Atoi(number)
		require.NoError(t, err)
	}
	data, dir := t.TempDir(), t.TempDir()
	place, held := filepath.Join(dir, "archive"), filepath.Join(dir, "held.txt")
	to := []string{"--checkpoints-to", held}
	if bucket := os.Getenv("S3_PLACE"); bucket != "" {
		place = bucket + "/" + rand.Text()
		to = append(to, "--checkpoints-to", place)
	}
	p := startProcess(t, data, append(to, "--checkpoints-every=1s", "--probe-interval=0s")...)
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	var head uint64
	if events <= large {
		head = fill(t, data, events)
	} else {
		require.Zero(t, p.stop())
		head = fillStopped(t, data, events)
		readyWithin = 30 * time.Minute
		p = startProcess(t, data, append(to, "--checkpoints-every=1s", "--probe-interval=0s")...)
	}
	holds(t, held, transparency.Integrations, head)
	before := time.Now().UTC()
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"enabled": false}`)
	holds(t, held, transparency.Integrations, head+1)

	out := measured(t, "archive", "--data", data, "--to", place, "--before", before.Format(time.RFC3339Nano), "--json")
	t.Log(out)
	require.Contains(t, out, fmt.Sprintf(`"from":1,"position":%d,`, head))
	exit, again := tool(t, "archive", "--data", data, "--to", place, "--before", before.Format(time.RFC3339Nano))
	require.Zero(t, exit, again)
	require.Contains(t, again, "nothing to archive")
	out = measured(t, "audit", "verify", place, "--checkpoint", held)
	t.Log(out)
	require.Contains(t, out, fmt.Sprintf("ok: complete and unchanged to position %d", head))
	if segments, _ := filepath.Glob(filepath.Join(place, "integrations", "*")); len(segments) > 0 {
		out = measured(t, "audit", "verify", segments[len(segments)-1], "--checkpoint", held)
		require.Contains(t, out, fmt.Sprintf("ok: complete and unchanged to position %d", head))
	}

	verified := func() string { // two events can't be read, which is wrong with the log only
		exit, out := tool(t, "verify", "--data", data, "--archive", place, "--checkpoint", held)
		require.Equal(t, 1, exit, out)
		return out
	}
	out = verified()
	t.Log(out)
	require.Contains(t, out, fmt.Sprintf("archive of integrations: %d positions; %d events are byte for byte those of the log, 0 are in the archive only, and 0 in the log only", head, head))
	require.NotContains(t, out, "of the archive")

	replays := [][]string{{}, {"--after", fmt.Sprint(head - 5)}, {"--after", fmt.Sprint(head)}, {"--workspace=acme", "--integration=crm"}, {"--workspace=other"}, {"--from", before.Add(-time.Millisecond).Format(time.RFC3339Nano)}}
	if events > large {
		replays = [][]string{{"--workspace=other"}} // which reads all, and writes nothing
	}
	for _, args := range replays {
		args = append([]string{"replay", "--data=" + data}, args...)
		if of, from := measured(t, args...), measured(t, append(args, "--archive", place)...); of != from {
			t.Fatalf("%q: from the log %d bytes, with the archive %d, which differ", args, len(of), len(from))
		}
	}

	require.Empty(t, measured(t, "replay", "--data="+data, "--approvals", "--archive", place), "that log is empty")
	require.Zero(t, p.stop())
	t.Log(measured(t, "rebuild", "--data", data))
	one := dump(t, data)
	t.Log(measured(t, "rebuild", "--data", data, "--archive", place))
	if two := dump(t, data); one != two {
		t.Fatalf("the read model from the log has %d bytes, the one from the archive %d, and they differ", len(one), len(two))
	}
	require.Contains(t, one, "unknown type")
	if events > large {
		t.Logf("the log takes %d bytes", sizeOfFolder(t, data))
		t.Log(measured(t, "prune", "--data", data, "--archive", place, "--keep=2", "--min-age=0s", "--apply"))
		t.Logf("the log takes %d bytes", sizeOfFolder(t, data))
		t.Log(measured(t, "rebuild", "--data", data))
		require.Equal(t, one, dump(t, data), "the read model is the same without what was removed")
		t.Log(verified())
		return
	}
	require.GreaterOrEqual(t, strings.Count(one, "\nintegrations "), events/10)

	if !objects.IsBucket(place) {
		segments, err := filepath.Glob(filepath.Join(place, "integrations", "*"))
		require.NoError(t, err)
		require.NoError(t, os.Chmod(segments[0], 0o600))
		text, err := os.ReadFile(segments[0])
		require.NoError(t, err)
		text[len(text)/2] ^= 1
		require.NoError(t, os.WriteFile(segments[0], text, 0o600))
		for _, args := range [][]string{{"rebuild", "--data", data, "--archive", place}, {"replay", "--data", data, "--archive", place}, {"audit", "verify", place, "--checkpoint", held}} {
			exit, out := tool(t, args...)
			require.Equal(t, 1, exit, out)
		}
		require.Equal(t, one, dump(t, data), "a rebuild that failed changes nothing")
		require.Contains(t, verified(), "00000000000000000001.ndjson.zst of the archive")
	}
}

func TestAnArchiveThatCanNotBeIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--before must be in the past":              {"archive", "--before=2999-01-01T00:00:00Z", "--to=" + dir},
		"--to: \"s3://\" must be s3://BUCKET":       {"archive", "--before=2026-01-01T00:00:00Z", "--to=s3://"},
		"there is no archive of this log here":      {"audit", "verify", dir, "--checkpoint=" + heldFile(t)},
		"--checkpoints-to: \"s3://\" must be s3://": {"serve", "--data", dir, "--checkpoints-to=s3://"},
		"--checkpoints-to: \"S3://b\" must be":      {"serve", "--data", dir, "--checkpoints-to=S3://b"},
		"--to: this must be the path of a folder":   {"archive", "--before=2026-01-01T00:00:00Z", "--to=S3://b/p"},
	} {
		exit, out := tool(t, args...)
		require.Equal(t, 1, exit, out)
		require.Contains(t, out, want)
	}
}

// heldFile returns a file that is not empty.
func heldFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "held.txt")
	require.NoError(t, os.WriteFile(file, []byte("x\n"), 0o600))
	return file
}
