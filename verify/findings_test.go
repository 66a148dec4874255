package verify_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/verify"
)

// prove keeps the tree of a stream until the test ends.
func prove(t *testing.T, nc *nats.Conn, c *verify.Config, stream string) {
	t.Helper()
	store, err := trees.Open(t.Context(), nc, 1)
	require.NoError(t, err)
	key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	c.Proofs = &trees.Reader{Events: c.Events, Trees: store, Key: key, Streams: map[transparency.Log]string{transparency.Integrations: stream}}
	f := &trees.Follower{Events: c.Events, Trees: store, Streams: c.Proofs.Streams, Key: key, Log: c.Log}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// signed waits until the log is signed up to a position.
func signed(t *testing.T, c verify.Config, position uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, err := c.Proofs.Trees.State(t.Context(), transparency.Integrations)
		return err == nil && s.Edge.Size == position
	}, time.Minute, 5*time.Millisecond)
}

// A log that ends before its tree is compared with its archive, which still has the rest.
func TestALogThatLostItsEndIsAProblemBesideTheOthers(t *testing.T) {
	nc, _, c := openOn(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}, AllowDirect: true})
	require.NoError(t, err)
	prove(t, nc, &c, "LOG")
	publish := func(text string, position uint64) {
		_, err := js.Publish(t.Context(), "log", []byte(text))
		require.NoError(t, err)
		signed(t, c, position)
	}
	publish("one", 1)
	kept := jetstream.StreamConfig{Name: "KEPT", AllowDirect: true}
	mirror := kept
	mirror.Mirror = &jetstream.StreamSource{Name: "LOG"}
	copied, err := js.CreateStream(t.Context(), mirror)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := copied.Info(t.Context())
		return err == nil && info.State.LastSeq == 1
	}, time.Minute, 5*time.Millisecond)
	_, err = js.UpdateStream(t.Context(), kept) // which ends the copying
	require.NoError(t, err)
	publish("two", 2)
	publish("three", 3)
	c.Archive, err = objects.Open(t.TempDir())
	require.NoError(t, err)
	w := archive.Writing{
		Archive: archive.Archive{Objects: c.Archive, Log: transparency.Integrations}, From: c.Proofs, Before: time.Now().Add(time.Hour), Progress: func(_, _ uint64) {},
	}
	_, err = w.Run(t.Context())
	require.NoError(t, err)

	c.Proofs = &trees.Reader{Events: c.Events, Trees: c.Proofs.Trees, Key: c.Proofs.Key, Streams: map[transparency.Log]string{transparency.Integrations: "KEPT"}}
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, []string{
		"integrations: positions 2 to 3 are gone: the log ends at 1, and a checkpoint was signed for 3",
		"integrations: positions 2 to 3 are missing from the log; the archive has them",
	}, report.Problems)
	require.Equal(t, []int{1, 1, 1}, []int{report.Events, report.Integrations, report.Secrets})
	require.Equal(t, []archive.Compared{{Log: transparency.Integrations, Position: 3, Events: 1, OnlyArchive: 2, Problems: report.Problems[1:]}}, report.Archives)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.NotContains(t, text.String(), "start the service")
}

func TestATreeThatCanNotBeReadIsAProblemBesideTheOthers(t *testing.T) {
	nc, _, c := openOn(t)
	prove(t, nc, &c, "INTEGRATIONS")
	signed(t, c, 1)
	c.Archive, _ = objects.Open(t.TempDir())
	w := archive.Writing{
		Archive: archive.Archive{Objects: c.Archive, Log: transparency.Integrations}, From: c.Proofs, Before: time.Now().Add(time.Hour), Progress: func(_, _ uint64) {},
	}
	_, err := w.Run(t.Context())
	require.NoError(t, err)
	require.NoError(t, nc.Publish("trees.integrations.state", []byte("?")))
	require.NoError(t, nc.Flush())
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 2)
	require.Contains(t, report.Problems[0], "integrations can't be compared with its tree: read the tree of integrations")
	require.Contains(t, report.Problems[1], "integrations can't be compared with its archive: read the tree of integrations")
	require.Equal(t, []int{1, 1, 1}, []int{report.Events, report.Integrations, report.Secrets})
}

func TestAReadModelThatFallsBehindIsAProblemBesideTheOthers(t *testing.T) {
	nc, service, c := openOn(t)
	_, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	_, err = service.CreateIntegration(t.Context(), ann, domain.Document{"name": "ehr", "display_name": "EHR", "base_url": "https://ehr.example.com"}, commands.Condition{})
	require.NoError(t, err)
	prove(t, nc, &c, "INTEGRATIONS")
	signed(t, c, 2)
	c.Followed, c.CatchUp = true, time.Millisecond // and nobody does
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 1)
	require.Contains(t, report.Problems[0], "the read model can't be compared with the log: ")
	require.Equal(t, []int{2, 2, 1}, []int{report.Events, report.Integrations, report.Secrets})
	require.Len(t, report.Trees, 1)
}
