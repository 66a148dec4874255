package eventstore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// group sends appends to the log. While few are under way, each goes out by
// itself. When many are, those that come wait, and go out together as one atomic
// batch (NATS ADR-50), which is synced to disk once for all of them: group
// commit.
type group struct {
	js      jetstream.JetStream
	batches bool // whether the stream takes batches
	timeout time.Duration

	mu      sync.Mutex
	single  int       // appends that are under way by themselves
	batched bool      // whether a batch is under way
	waiting []*waiter // in the order in which they came
}

const (
	// mostSingle is how many appends are under way by themselves before others
	// wait for a batch, and the fewest that make one. A batch costs the server a
	// folder of its own, about as much as that many appends: ADR 14.
	mostSingle = 16
	mostBatch  = 500     // appends of one batch; the server takes 1,000
	batchBytes = 4 << 20 // of one batch, unless its first append alone is more

	// addedHeaders is more than the headers take that a message is given on its
	// way out. One that the connection refused for its size would spoil its batch.
	addedHeaders = 256
)

// errNotSent is why an append was not made that nobody waits for any more.
var errNotSent = errors.New("eventstore: gave up before the append was sent")

// waiter is an append that waits for others.
type waiter struct {
	msg      *nats.Msg
	after    uint64
	told     chan struct{} // closed when the rest is decided
	alone    bool          // it has to go out by itself
	position uint64
	err      error
}

// append publishes msg after a position on its subject, and returns where it is
// once it is on disk. Its errors are those of jetstream.PublishMsg, or
// errNotSent.
func (g *group) append(ctx context.Context, msg *nats.Msg, after uint64) (uint64, error) {
	w := g.enter(msg, after)
	select {
	case <-w.told:
	case <-ctx.Done():
		if g.leave(w) {
			return 0, errors.Join(errNotSent, ctx.Err())
		}
		<-w.told
	}
	if !w.alone {
		return w.position, w.err
	}
	ack, err := g.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after))
	if err != nil {
		g.done(nil)
		return 0, err
	}
	g.done(map[string]uint64{msg.Subject: ack.Sequence})
	return ack.Sequence, nil
}

// enter lines an append up. It is told at once when it need not wait.
func (g *group) enter(msg *nats.Msg, after uint64) *waiter {
	w := &waiter{msg: msg, after: after, told: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.batches || !g.batched && g.single < mostSingle {
		g.sendAlone(w)
	} else {
		g.waiting = append(g.waiting, w)
	}
	return w
}

// leave takes an append out of the line, unless it is on its way already.
func (g *group) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := slices.Index(g.waiting, w)
	if n < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, n, n+1)
	return true
}

// done tells those that wait that one that went by itself is back, and where it
// was stored.
func (g *group) done(made map[string]uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.single--
	g.pass(made)
	g.next()
}

// pass sends those by themselves that wait to follow an event that another
// follows by now: they conflict, and would spoil their batch.
func (g *group) pass(made map[string]uint64) {
	g.waiting = slices.DeleteFunc(g.waiting, func(w *waiter) bool {
		overtaken := w.after < made[w.msg.Subject]
		if overtaken {
			g.sendAlone(w)
		}
		return overtaken
	})
}

// next sends those that wait: many of them as a batch, few by themselves. The
// lock is held, as in what follows.
func (g *group) next() {
	if g.batched {
		return
	}
	if len(g.waiting) >= mostSingle {
		if batch, rest := split(g.waiting); len(batch) >= mostSingle {
			g.batched, g.waiting = true, rest
			go g.sendBatch(batch)
			return
		}
	}
	for len(g.waiting) > 0 && g.single < mostSingle {
		g.sendAlone(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// split returns the appends that can go out together, at most one of each
// integration, and those that can't.
func split(waiting []*waiter) (batch, rest []*waiter) {
	taken, size := map[string]bool{}, 0
	for _, w := range waiting {
		if len(batch) == mostBatch || taken[w.msg.Subject] || size > 0 && size+w.msg.Size() > batchBytes {
			rest = append(rest, w)
			continue
		}
		batch, size = append(batch, w), size+w.msg.Size()
		taken[w.msg.Subject] = true
	}
	return batch, rest
}

// sendAlone has an append sent by whoever waits for it.
func (g *group) sendAlone(w *waiter) {
	g.single++
	w.alone = true
	close(w.told)
}

// sendBatch sends appends together. When the server refuses one of them it
// refuses all, so each goes out by itself then and has an answer of its own.
func (g *group) sendBatch(batch []*waiter) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	ack, err := jetstreamext.PublishMsgBatch(ctx, g.js, messages(batch), jetstreamext.BatchFlowControl{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batched = false
	made := map[string]uint64{}
	for n, w := range batch {
		switch {
		case refusedByServer(err), errors.Is(err, nats.ErrNoResponders): // none is made
			g.sendAlone(w)
			continue
		case err != nil:
			w.err = err
		default: // they follow each other in the log
			w.position = ack.Sequence - ack.BatchSize + 1 + uint64(n)
			made[w.msg.Subject] = w.position
		}
		close(w.told)
	}
	g.pass(made)
	g.next()
}

// messages returns what is published of a batch. The headers are copies: an
// append that goes out by itself after all must not name its batch.
func messages(batch []*waiter) []*nats.Msg {
	all := make([]*nats.Msg, len(batch))
	for n, w := range batch {
		header := maps.Clone(w.msg.Header)
		header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(w.after, 10))
		all[n] = &nats.Msg{Subject: w.msg.Subject, Header: header, Data: w.msg.Data}
	}
	return all
}
