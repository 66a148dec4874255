package trees_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

func TestMessagesThatExpireKeepTheirHashes(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("calls2", "acme", 40)
	stream, err := n.js.Stream(t.Context(), "EXPIRING")
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(11))) // ten are gone before the first start
	stop := n.follow()
	held := n.signed(transparency.Calls, 40).Note
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(31)))
	last := n.record("calls2", "acme", 5)
	n.signed(transparency.Calls, last)
	report := n.verify(n.export(transparency.Calls, "", 40), held)
	require.Empty(t, report.Findings)
	require.Equal(t, []uint64{45, 15, 30, 40}, []uint64{report.Size, report.Entries, report.Hashes, report.Unchanged})
	checked, err := n.Check(t.Context(), transparency.Calls, []byte(held))
	require.NoError(t, err)
	require.Empty(t, checked.Problems)
	require.Equal(t, uint64(30), checked.Expired)
	require.NoError(t, stream.DeleteMsg(t.Context(), 35))
	checked, err = n.Check(t.Context(), transparency.Calls, []byte(held))
	require.NoError(t, err)
	require.Equal(t, []string{"calls: positions 35 to 35 are missing from the log"}, checked.Problems, "only the first of a log expire")
	stop()

	// All are gone, and nothing new comes: the tree still reaches the end of the log.
	last = n.record("calls2", "acme", 3)
	require.NoError(t, stream.Purge(t.Context()))
	n.follow()
	n.signed(transparency.Calls, last)
}

func TestALogThatIsNotThatOfItsTreeIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		damage func(*notary, jetstream.Stream)
		logged string // by the follower
		found  string // by a check
	}{
		"the end is gone": {func(n *notary, s jetstream.Stream) {
			state, err := n.Trees.State(n.t.Context(), transparency.Integrations)
			require.NoError(n.t, err)
			n.rewrite(state, func(e *transparency.Edge) {
				e.Append(transparency.MissingLeaf(1), func(transparency.Tile) {})
			})
		}, "the log ends before its tree does", "positions 601 to 601 are gone"},
		"the last message is another one": {func(n *notary, s jetstream.Stream) {
			state, err := n.Trees.State(n.t.Context(), transparency.Integrations)
			require.NoError(n.t, err)
			n.rewrite(state, func(e *transparency.Edge) { e.Levels[0][len(e.Levels[0])-1][0] ^= 1 })
		}, "another message than its tree at position 600", "position 600 was changed"},
		"a message is gone": {func(n *notary, s jetstream.Stream) {
			require.NoError(n.t, s.DeleteMsg(n.t.Context(), 300))
		}, "", "positions 300 to 300 are missing from the log"},
		"a bit of the tree is another one": {func(n *notary, s jetstream.Stream) {
			tile := n.message("trees.integrations.tile.0.1")
			tile.Data[32*44] ^= 1 // position 301
			_, err := n.js.Publish(n.t.Context(), tile.Subject, tile.Data)
			require.NoError(n.t, err)
		}, "", "position 301 was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotary(t)
			n.record("integrations2", "acme", 600)
			stop := n.follow()
			held := n.signed(transparency.Integrations, 600).Note
			stop()
			clean, err := n.Check(t.Context(), transparency.Integrations, []byte(held))
			require.NoError(t, err)
			require.Empty(t, clean.Problems)

			stream, err := n.js.Stream(t.Context(), "LOG")
			require.NoError(t, err)
			row.damage(n, stream)
			checked, err := n.Check(t.Context(), transparency.Integrations, []byte(held))
			require.NoError(t, err)
			require.Contains(t, strings.Join(checked.Problems, "\n"), row.found)
			if row.logged != "" {
				n.follow()
				require.Eventually(t, func() bool { return strings.Contains(n.logged(), row.logged) }, time.Minute, 5*time.Millisecond)
			}
		})
	}
}

// message returns the last message on a subject of the trees.
func (n *notary) message(subject string) *jetstream.RawStreamMsg {
	n.t.Helper()
	stream, err := n.js.Stream(n.t.Context(), "TREES")
	require.NoError(n.t, err)
	msg, err := stream.GetLastMsgForSubject(n.t.Context(), subject)
	require.NoError(n.t, err)
	return msg
}

// rewrite signs another tree, as a holder of the key could.
func (n *notary) rewrite(s trees.State, change func(*transparency.Edge)) {
	n.t.Helper()
	change(&s.Edge)
	c, err := n.Key.Sign(s.Checkpoint(transparency.Integrations))
	require.NoError(n.t, err)
	s.Note = c.Note
	data, err := json.Marshal(s)
	require.NoError(n.t, err)
	_, err = n.js.Publish(n.t.Context(), "trees.integrations.state", data)
	require.NoError(n.t, err)
}

func TestMissingMessagesAreNotSignedUnlessAnOperatorAcceptsTheLoss(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("integrations2", "acme", 10)
	stream, err := n.js.Stream(t.Context(), "LOG")
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 4))
	stop := n.follow()
	require.Eventually(t, func() bool {
		return strings.Contains(n.logged(), "messages are missing from the log: positions 4 to 4")
	}, time.Minute, 5*time.Millisecond)
	stop()
	require.NoError(t, n.events.Begin(t.Context(), eventstore.Epoch{After: 10, Reason: eventstore.Loss}, 1, ""))
	n.follow()
	n.signed(transparency.Integrations, 10)
}

func TestALogWithAnotherIdentityContinuesTheTreeAsFarAsItIsTheSame(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("integrations2", "acme", 700)
	stop := n.follow()
	before := n.signed(transparency.Integrations, 700)
	stop()
	// A restore: the first 520 messages, then others.
	stream, err := n.js.Stream(t.Context(), "LOG")
	require.NoError(t, err)
	for position := uint64(521); position <= 700; position++ {
		require.NoError(t, stream.DeleteMsg(t.Context(), position))
	}
	require.NoError(t, n.events.Begin(t.Context(), eventstore.Epoch{After: 520, Reason: eventstore.RestoredFromBackup}, 180, ""))
	last := n.record("integrations2", "acme", 50)
	n.follow()
	var after trees.State
	require.Eventually(t, func() bool {
		after, err = n.Trees.State(t.Context(), transparency.Integrations)
		return err == nil && after.Identity != before.Identity && after.Edge.Size == last
	}, time.Minute, 5*time.Millisecond)
	report := n.verify(n.export(transparency.Integrations, "", 700), before.Note)
	require.Empty(t, report.Findings, "the hashes of the lost messages are still in the tree")
	require.NotEqual(t, before.Checkpoint(transparency.Integrations).Origin, report.Origin)
	require.Contains(t, n.logged(), "another identity")
}

func TestAStreamThatWasCreatedAgainBeginsItsTreeWhereItDiffers(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("calls2", "acme", 400)
	stop := n.follow()
	held := n.signed(transparency.Calls, 400)
	stop()
	require.NoError(t, n.js.DeleteStream(t.Context(), "EXPIRING"))
	n.create("EXPIRING", "calls2.>")
	n.record("calls2", "acme", 450)
	n.follow()
	require.Eventually(t, func() bool {
		s, err := n.Trees.State(t.Context(), transparency.Calls)
		return err == nil && s.Edge.Size == 450
	}, time.Minute, 5*time.Millisecond)
	checked, err := n.Check(t.Context(), transparency.Calls, nil)
	require.NoError(t, err)
	require.Empty(t, checked.Problems, "the tree is that of the new stream")
	report := n.verify(n.export(transparency.Calls, "", 400), held.Note)
	require.Equal(t, transparency.Rewritten, report.Findings[0].Fault, "the held checkpoint shows that the old one is gone")
}

func TestALogOfCallsThatLostItsEndGoesOnUnderAnotherOrigin(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("calls2", "acme", 10)
	stop := n.follow()
	held := n.signed(transparency.Calls, 10)
	stop()
	for fork := 1; fork <= 2; fork++ {
		state, err := n.Trees.State(t.Context(), transparency.Calls)
		require.NoError(t, err)
		state.Edge.Append(transparency.MissingLeaf(1), func(transparency.Tile) {})
		data, err := json.Marshal(state)
		require.NoError(t, err)
		_, err = n.js.Publish(t.Context(), "trees.calls.state", data)
		require.NoError(t, err)
		require.ErrorIs(t, n.follower().Look(t.Context(), transparency.Calls), trees.ErrShorter)
		once, err := n.Trees.State(t.Context(), transparency.Calls)
		require.NoError(t, err)
		require.Equal(t, state.Identity, once.Identity, "one look changes nothing: a server may answer as the leader that it was")
		require.Equal(t, state.Edge, once.Edge)
		stop = n.follow()
		require.Eventually(t, func() bool {
			state, err = n.Trees.State(t.Context(), transparency.Calls)
			return err == nil && state.Edge.Size == 10 && strings.HasSuffix(state.Identity, fmt.Sprint(".", fork))
		}, time.Minute, 5*time.Millisecond, n.logged())
		stop()
	}
	checked, err := n.Check(t.Context(), transparency.Calls, []byte(held.Note))
	require.NoError(t, err)
	require.Empty(t, checked.Problems)
	require.Contains(t, n.logged(), "another identity")
}

func TestAMissingMessageIsLookedForTwice(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	n.record("calls2", "acme", 5)
	stream, err := n.js.Stream(t.Context(), "EXPIRING")
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 3))
	require.ErrorIs(t, n.follower().Look(t.Context(), transparency.Calls), trees.ErrMissing)
	state, err := n.Trees.State(t.Context(), transparency.Calls)
	require.NoError(t, err)
	require.Zero(t, state.Edge.Size)
	n.follow()
	n.signed(transparency.Calls, 5)
}
