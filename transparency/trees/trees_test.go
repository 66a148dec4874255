package trees_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// A notary keeps the trees of two streams of its own, which a test may damage.
type notary struct {
	t      *testing.T
	nc     *nats.Conn
	js     jetstream.JetStream
	events *eventstore.Store
	*trees.Reader
	log *bytes.Buffer
	mu  sync.Mutex
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	store, err := trees.Open(t.Context(), nc, 1)
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	n := &notary{t: t, nc: nc, js: js, events: events, log: &bytes.Buffer{}}
	n.Reader = &trees.Reader{Events: events, Trees: store, Key: key, Streams: map[transparency.Log]string{
		transparency.Integrations: "LOG", transparency.Calls: "EXPIRING",
	}}
	n.create("LOG", "integrations2.>")
	n.create("EXPIRING", "calls2.>")
	return n
}

func (n *notary) create(stream, subject string) {
	n.t.Helper()
	_, err := n.js.CreateStream(n.t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, AllowDirect: true, AllowMsgTTL: false})
	require.NoError(n.t, err)
}

// Write implements io.Writer for the log.
func (n *notary) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *notary) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// record stores messages, and returns the position of the last one.
func (n *notary) record(prefix, workspace string, count int) (position uint64) {
	n.t.Helper()
	for i := range count {
		ack, err := n.js.PublishMsg(n.t.Context(), &nats.Msg{
			Subject: prefix + "." + workspace + ".1", Header: nats.Header{"ce-id": {fmt.Sprint(i)}, "ce-type": {"x.v1"}}, Data: fmt.Appendf(nil, `{"n": %d}`, i),
		})
		require.NoError(n.t, err)
		position = ack.Sequence
	}
	return position
}

func (n *notary) follower() *trees.Follower {
	return &trees.Follower{Events: n.events, Trees: n.Trees, Streams: n.Streams, Key: n.Key, Log: slog.New(slog.NewTextHandler(n, nil))}
}

// follow runs the follower until stop is called.
func (n *notary) follow() (stop func()) {
	ctx, cancel := context.WithCancel(n.t.Context())
	f := n.follower()
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(n.t, <-done)
		})
	}
	n.t.Cleanup(stop)
	return stop
}

// signed waits until a checkpoint has a position.
func (n *notary) signed(log transparency.Log, position uint64) trees.State {
	n.t.Helper()
	var s trees.State
	require.Eventually(n.t, func() bool {
		var err error
		s, err = n.Trees.State(n.t.Context(), log)
		return err == nil && s.Edge.Size >= position
	}, time.Minute, 5*time.Millisecond, "%s %d: %s", log, position, n.logged())
	return s
}

func (n *notary) export(log transparency.Log, w domain.Workspace, sizes ...uint64) []byte {
	n.t.Helper()
	var out bytes.Buffer
	require.NoError(n.t, n.Export(n.t.Context(), &out, trees.Export{Log: log, Workspace: w, Sizes: sizes}))
	return out.Bytes()
}

func (n *notary) verify(export []byte, held string) transparency.Report {
	n.t.Helper()
	report, err := transparency.Verify(bytes.NewReader(export), nil, []byte(held))
	require.NoError(n.t, err)
	return report
}

func TestAnExportOfALogIsVerifiedWithoutTheService(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("integrations2", "acme", 300)
	stop := n.follow()
	held := n.signed(transparency.Integrations, 300).Note
	n.record("integrations2", "globex", 290)
	last := n.record("integrations2", "acme", 10)
	now := n.signed(transparency.Integrations, last)
	stop()

	all := n.verify(n.export(transparency.Integrations, ""), held)
	require.Empty(t, all.Findings)
	require.Equal(t, []uint64{600, 600, 0, 300}, []uint64{all.Size, all.Entries, all.Hashes, all.Unchanged})
	// A follower that starts again continues the tree.
	last = n.record("integrations2", "acme", 1)
	n.follow()
	n.signed(transparency.Integrations, last)
	both := n.verify(n.export(transparency.Integrations, ""), held+"\n"+now.Note)
	require.Empty(t, both.Findings)
	require.Equal(t, uint64(600), both.Unchanged)

	proof, err := n.Consistency(t.Context(), transparency.Integrations, 300)
	require.NoError(t, err)
	public, err := transparency.ParseKey(n.Key.Public())
	require.NoError(t, err)
	earlier, err := transparency.ParseCheckpoint(held, public)
	require.NoError(t, err)
	require.NoError(t, transparency.CheckConsistency(proof.Hashes, proof.Checkpoint.Size, proof.Checkpoint.Root, earlier.Size, earlier.Root))
	_, err = n.Consistency(t.Context(), transparency.Integrations, 602)
	require.Equal(t, domain.Invalid, domain.KindOf(err))
}

func TestAWorkspaceSeesItsOwnEventsAndHashesOfTheOthers(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.Streams = map[transparency.Log]string{transparency.Integrations: "INTEGRATIONS"}
	for round := range 3 {
		for _, w := range []domain.Workspace{"acme", "globex"} {
			for i := range 100 {
				name := fmt.Sprint("crm-", round, "-", i)
				_, err := n.events.Append(t.Context(), w, domain.NewID(w, name), 0, domain.IntegrationCreated{Integration: domain.Integration{ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1}}, domain.Metadata{CommandID: name, At: time.Now()})
				require.NoError(t, err)
			}
		}
	}
	n.follow()
	s := n.signed(transparency.Integrations, 600)
	export := n.export(transparency.Integrations, "acme", 600, 130)
	require.NotContains(t, string(export), "globex")
	report := n.verify(export, s.Note)
	require.Empty(t, report.Findings)
	require.Equal(t, []uint64{600, 300, 300, 600}, []uint64{report.Size, report.Entries, report.Hashes, report.Unchanged})
	require.Less(t, bytes.Count(export, []byte("\n")), 340, "hashes of others are few")

	for position, row := range map[uint64]struct {
		w    domain.Workspace
		kind domain.Kind
	}{
		1: {"acme", ""}, 101: {"globex", ""}, 600: {"globex", ""}, 102: {"acme", domain.NotFound}, 0: {"acme", domain.NotFound}, 700: {"acme", domain.NotFound},
	} {
		proof, err := n.Inclusion(t.Context(), transparency.Integrations, row.w, position)
		if row.kind != "" {
			require.Equal(t, row.kind, domain.KindOf(err), position)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, transparency.CheckInclusion(proof.Hashes, proof.Checkpoint.Size, proof.Checkpoint.Root, position, proof.Entry.Leaf()))
	}
}

func TestCheckpointsAreSentToFilesBucketsAndURLs(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("integrations2", "acme", 3)
	n.follow()
	first := n.signed(transparency.Integrations, 3)
	file := filepath.Join(t.TempDir(), "held.txt")
	posted := make(chan string, 100)
	statuses := []int{500, 204}
	kept := map[string]string{}
	sender := &trees.Sender{
		Put: map[string]trees.Put{"s3://held": func(_ context.Context, name, note string) error {
			kept[name] = note
			return nil
		}},
		Events: n.events, Trees: n.Trees, To: []string{file, "s3://held", "https://witness.example/add"}, Every: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(n, nil)),
		Post: func(r *http.Request) (*http.Response, error) {
			var text bytes.Buffer
			_, err := text.ReadFrom(r.Body)
			posted <- text.String()
			status := statuses[0]
			statuses = append(statuses[1:], 204)
			return &http.Response{StatusCode: status, Body: http.NoBody}, err
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sender.Run(ctx) }()
	require.Equal(t, first.Note, <-posted)
	require.Equal(t, first.Note, <-posted, "one that was refused is sent again")
	second := n.signed(transparency.Integrations, n.record("integrations2", "acme", 1))
	require.Equal(t, second.Note, <-posted)
	cancel()
	require.NoError(t, <-done)
	held, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 4}, slices.Compact(transparency.HeldSizes(held, transparency.Integrations)))
	require.Empty(t, n.verify(n.export(transparency.Integrations, ""), string(held)).Findings)
	require.Contains(t, n.logged(), "the answer has status 500")
	of := strings.SplitN(first.Note, "\n", 2)[0]
	require.Equal(t, map[string]string{of + "/00000000000000000003.txt": first.Note, of + "/00000000000000000004.txt": second.Note}, kept)
}
