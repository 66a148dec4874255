package webhooks

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"
)

// What one workspace has on its way to the stream of deliveries at once. It is
// bounded so that the delivery of another one is stored soon.
const (
	minBatch   = 16      // fewer go out each by itself: a batch costs the server as much as that many
	maxBatch   = 256     // deliveries that are stored and synced to disk together
	batchBytes = 1 << 20 // of a batch, unless its first delivery alone is more
)

// pendingDelivery is a message on its way to the stream of deliveries.
type pendingDelivery struct {
	subject, id string
	data        []byte
}

// publishInOrder stores deliveries, those on one subject in their order. It
// returns what is left to store after a failure.
func (w *Webhooks) publishInOrder(ctx context.Context, all []pendingDelivery) (left []pendingDelivery, err error) {
	for len(all) > 0 {
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		now := batchOf(all)
		if len(now) < minBatch || !w.batches || w.publishBatch(ctx, now) != nil {
			// A batch is refused as a whole, also when one of its deliveries is stored already.
			if left, err := w.publishEach(ctx, now); err != nil {
				return append(left, all[len(now):]...), err
			}
		}
		all = all[len(now):]
	}
	return nil, nil
}

// batchOf returns the first deliveries, as many as are stored at a time.
func batchOf(all []pendingDelivery) []pendingDelivery {
	size := 0
	for n, p := range all {
		size += len(p.data)
		if n == maxBatch || n > 0 && size > batchBytes {
			return all[:n]
		}
	}
	return all
}

// publishBatch stores deliveries as one atomic batch (NATS ADR-50). A request that
// has started is given the time to end: a delivery that is stored without being known to be
// would be stored again, and may be made by then.
func (w *Webhooks) publishBatch(ctx context.Context, all []pendingDelivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	batch := make([]*nats.Msg, len(all))
	for n, p := range all {
		batch[n] = &nats.Msg{Subject: p.subject, Data: p.data, Header: nats.Header{jetstream.MsgIDHeader: {p.id}}}
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, w.js, batch, jetstreamext.BatchFlowControl{})
	return err
}

// publishEach stores deliveries each by itself, many at once, those on one subject
// one after the other.
func (w *Webhooks) publishEach(ctx context.Context, all []pendingDelivery) (left []pendingDelivery, err error) {
	for len(all) > 0 {
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		var now, later []pendingDelivery
		taken := map[string]bool{}
		for _, p := range all {
			if taken[p.subject] || len(now) == 2*minBatch {
				taken[p.subject] = true
				later = append(later, p)
				continue
			}
			taken[p.subject] = true
			now = append(now, p)
		}
		failures := make([]error, len(now))
		var round errgroup.Group
		for n, p := range now {
			round.Go(func() error {
				failures[n] = w.publishRaw(ctx, p)
				return failures[n]
			})
		}
		if err := round.Wait(); err != nil {
			for n, p := range now {
				if failures[n] != nil {
					left = append(left, p)
				}
			}
			return append(left, later...), err
		}
		all = later
	}
	return nil, nil
}

// publish stores v on a subject, once for each id.
func (w *Webhooks) publish(ctx context.Context, subject, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("publish on %s: %w", subject, err)
	}
	return w.publishRaw(ctx, pendingDelivery{subject, id, data})
}

// publishRaw stores one delivery. A request that has started is given the time to
// end, as by publishBatch.
func (w *Webhooks) publishRaw(ctx context.Context, p pendingDelivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	if _, err := w.js.Publish(ctx, p.subject, p.data, jetstream.WithMsgID(p.id)); err != nil {
		return unavailable(err, "publish on "+p.subject)
	}
	return nil
}
