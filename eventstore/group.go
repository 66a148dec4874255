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

	"github.com/seed677028b5/integrations/streams"
)

// group commits appends to the log in groups. While few are in flight, each is sent
// alone. Otherwise new ones wait and are sent together as one atomic batch (NATS
// ADR-50), which the server syncs to disk once.
type group struct {
	js      jetstream.JetStream
	batches bool // whether the stream accepts batches
	timeout time.Duration
	observe Observer
	stored  func([]ownCommit) // is called with what is on disk, in the order of the log

	mu      sync.Mutex
	single  int       // appends in flight alone
	batched bool      // whether a batch is in flight
	waiting []*waiter // in order of arrival
}

const (
	// maxSingle is how many appends are sent alone before others wait for a batch,
	// and the fewest that make a batch. A batch costs the server a folder of its
	// own, about as much as that many appends: ADR 14.
	maxSingle  = 16
	maxAppends = 500     // of one batch; the server accepts 1,000
	batchBytes = 4 << 20 // of one batch, unless its first append alone is more

	// addedHeaders is a bound on the headers that are added to a message when it is
	// sent. A message that the connection refused for its size would fail its batch.
	addedHeaders = 256
)

// errNotSent means that the caller gave up before its append was sent.
var errNotSent = errors.New("eventstore: gave up before the append was sent")

// waiter is an append that may wait for others.
type waiter struct {
	msg      *nats.Msg
	after    uint64
	commit   func(position uint64) ownCommit
	decided  chan struct{} // closed when the following fields are set
	alone    bool          // the caller sends it alone
	position uint64
	err      error
}

// append publishes msg after a position on its subject, and returns its position once
// it is on disk. Its errors are those of jetstream.PublishMsg, or errNotSent.
func (g *group) append(ctx context.Context, msg *nats.Msg, after uint64, commit func(position uint64) ownCommit) (uint64, error) {
	start := time.Now() //nolint:forbidigo // measures a duration
	position, err := g.send(ctx, &waiter{msg: msg, after: after, commit: commit, decided: make(chan struct{})})
	g.observe.appended(start, err)
	return position, err
}

func (g *group) send(ctx context.Context, w *waiter) (uint64, error) {
	g.enqueue(w)
	select {
	case <-w.decided:
	case <-ctx.Done():
		if g.dequeue(w) {
			return 0, errors.Join(errNotSent, ctx.Err())
		}
		<-w.decided
	}
	if !w.alone {
		return w.position, w.err
	}
	ack, err := g.js.PublishMsg(ctx, w.msg, jetstream.WithExpectLastSequencePerSubject(w.after))
	if err != nil {
		g.finish(nil)
		return 0, err
	}
	g.observe.committed(1)
	g.finish(map[string]uint64{w.msg.Subject: ack.Sequence})
	g.stored([]ownCommit{w.commit(ack.Sequence)})
	return ack.Sequence, nil
}

// enqueue queues an append, or decides at once that it is sent alone.
func (g *group) enqueue(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.batches || !g.batched && g.single < maxSingle {
		g.sendAlone(w)
	} else {
		g.waiting = append(g.waiting, w)
	}
}

// dequeue removes an append from the queue. It reports false if it was sent already.
func (g *group) dequeue(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := slices.Index(g.waiting, w)
	if n < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, n, n+1)
	return true
}

// finish records that an append that was sent alone has returned, and its position.
func (g *group) finish(made map[string]uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.single--
	g.sendConflicting(made)
	g.next()
}

// sendConflicting lets the waiting appends that conflict by now be sent alone: in a batch they
// would fail all the others.
func (g *group) sendConflicting(made map[string]uint64) {
	g.waiting = slices.DeleteFunc(g.waiting, func(w *waiter) bool {
		overtaken := w.after < made[w.msg.Subject]
		if overtaken {
			g.sendAlone(w)
		}
		return overtaken
	})
}

// next sends waiting appends: many as a batch, few alone. The caller holds the lock,
// as for the methods below.
func (g *group) next() {
	if g.batched {
		return
	}
	if len(g.waiting) >= maxSingle {
		if batch, rest := split(g.waiting); len(batch) >= maxSingle {
			g.batched, g.waiting = true, rest
			go g.sendBatch(batch)
			return
		}
	}
	for len(g.waiting) > 0 && g.single < maxSingle {
		g.sendAlone(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// split returns the appends that can be sent together, at most one of each
// integration, and the others.
func split(waiting []*waiter) (batch, rest []*waiter) {
	taken, size := map[string]bool{}, 0
	for _, w := range waiting {
		if len(batch) == maxAppends || taken[w.msg.Subject] || size > 0 && size+w.msg.Size() > batchBytes {
			rest = append(rest, w)
			continue
		}
		batch, size = append(batch, w), size+w.msg.Size()
		taken[w.msg.Subject] = true
	}
	return batch, rest
}

// sendAlone lets the caller of append send it.
func (g *group) sendAlone(w *waiter) {
	g.single++
	w.alone = true
	close(w.decided)
}

// sendBatch sends appends together. When the server refuses one of them it refuses
// all, so then each is sent alone and gets its own result.
func (g *group) sendBatch(batch []*waiter) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	ack, err := jetstreamext.PublishMsgBatch(ctx, g.js, messages(batch), jetstreamext.BatchFlowControl{})
	var stored []ownCommit
	if err == nil {
		g.observe.committed(len(batch))
	}
	defer func() { g.stored(stored) }() // after the next batch is on its way
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batched = false
	made := map[string]uint64{}
	for n, w := range batch {
		switch {
		case refusedByServer(err), errors.Is(err, nats.ErrNoResponders): // none is stored
			g.sendAlone(w)
			continue
		case err != nil:
			w.err = err
		default: // they have consecutive positions
			w.position = ack.Sequence - ack.BatchSize + 1 + uint64(n)
			made[w.msg.Subject] = w.position
			stored = append(stored, w.commit(w.position))
		}
		close(w.decided)
	}
	g.sendConflicting(made)
	g.next()
}

// messages returns the messages of a batch. The headers are copies, because an append
// that is sent alone after all must not name its batch.
func messages(batch []*waiter) []*nats.Msg {
	all := make([]*nats.Msg, len(batch))
	for n, w := range batch {
		header := maps.Clone(w.msg.Header)
		header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(w.after, 10))
		all[n] = &nats.Msg{Subject: w.msg.Subject, Header: header, Data: w.msg.Data}
	}
	return all
}

// notStored reports whether an append that failed was certainly not stored: it was not sent,
// no server had the stream, or the server refused it for another reason than a conflict.
func notStored(err error) bool {
	return errors.Is(err, errNotSent) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		refusedByServer(err) && !streams.IsConflict(err)
}

// refusedByServer reports whether the server replied with an error.
func refusedByServer(err error) bool {
	_, ok := errors.AsType[*jetstream.APIError](err)
	return ok
}
