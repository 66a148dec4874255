package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// grace is how long running attempts may take while the service stops. One that is
// cut off is made again, although the receiver may have had it.
const grace = 5 * time.Second

// deliver delivers pending webhooks until ctx ends. Of all processes, the elected
// one does.
func (w *Webhooks) deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.config.Events.Lead(ctx, "webhooks", func(ctx context.Context) error {
			return newDeliverer(w).run(ctx)
		})
		if ctx.Err() == nil {
			w.config.Log.WarnContext(ctx, "webhooks are not delivered; trying again", slog.Any("err", err))
			streams.Wait(ctx, time.Second)
		}
	}
	return nil
}

// run reads pending webhooks, then new ones, until ctx ends. It holds only the
// sequences of those that wait, so that many take little memory.
func (d *deliverer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var settling sync.WaitGroup
	settling.Go(func() { d.settleAll(context.WithoutCancel(ctx)) }) // also what ends after ctx did
	settling.Go(func() { d.removeAll(ctx) })
	defer func() {
		cancel()
		d.mu.Lock()
		d.mu.Unlock() //nolint:staticcheck // empty on purpose: put starts nothing after this
		d.working.Wait()
		close(d.settlements)
		settling.Wait()
	}()
	for ctx.Err() == nil {
		if err := d.follow(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// follow reads the stream of pending webhooks from its beginning. It returns when
// ctx ends, or when more is pending than was read: a replica that was behind, or a
// leader that lost its position, may have skipped something.
func (d *deliverer) follow(ctx context.Context) error {
	settled, err := d.settledBefore(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	for sequence := range settled { // what was settled since they were read stays known
		d.markSettled(sequence)
	}
	d.removal.low, d.furthest = 0, 0 // nothing of the stream is read yet
	d.mu.Unlock()
	consumer, err := d.js.OrderedConsumer(ctx, pendingName, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return unavailable(err, "read pending webhooks")
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err == nil && isSettlement(msg) {
			d.readSettlement(meta.Sequence.Stream, meta.Timestamp, msg.Headers().Get(settledHeader))
			return
		}
		in, ok := queueOf(msg.Subject())
		if err != nil || !ok {
			d.config.Log.ErrorContext(ctx, "a pending webhook can't be read", slog.String("subject", msg.Subject()), slog.Any("err", err))
			return
		}
		d.put(ctx, in, meta.Sequence.Stream, meta.Timestamp)
	}, jetstream.PullMaxMessages(5000))
	if err != nil {
		return unavailable(err, "read pending webhooks")
	}
	defer consuming.Stop()
	compare := time.NewTicker(d.config.Compare)
	defer compare.Stop()
	for c := (comparison{}); c.missed < 2; {
		select {
		case <-ctx.Done():
			return nil
		case <-consuming.Closed(): // the connection ended
			return unavailable(jetstream.ErrConnectionClosed, "read pending webhooks")
		case <-compare.C:
			d.compare(ctx, &c)
		}
	}
	d.config.Log.WarnContext(ctx, "pending webhooks were skipped; reading them again")
	return nil
}

// put appends the webhook at a sequence to its queue.
func (d *deliverer) put(ctx context.Context, in queueKey, sequence uint64, stored time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.furthest = sequence
	_, known := d.known[sequence]
	if known || d.isSettled(sequence, stored) || ctx.Err() != nil { // the reader may call once more after it was stopped
		return
	}
	d.known[sequence] = stored
	if sequence <= d.removal.low { // a new stream took the place of the old one
		d.removal.low = 0
	}
	if behind, busy := d.waiting[in]; busy {
		d.waiting[in] = append(behind, sequence)
		return
	}
	d.waiting[in] = nil
	d.working.Go(func() {
		for more := true; more && d.process(ctx, in, sequence); {
			sequence, more = d.next(in, sequence)
		}
	})
}

// next returns the next webhook of a queue. An empty queue is removed.
func (d *deliverer) next(in queueKey, settled uint64) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, settled)
	behind := d.waiting[in]
	if len(behind) == 0 {
		delete(d.waiting, in)
		return 0, false
	}
	d.waiting[in] = behind[1:]
	return behind[0], true
}

// process delivers the webhook at a sequence, with retries, until it is settled. It
// reports false when ctx ended before that. It holds a permit for each request to
// the server, so that a workspace with many webhooks does not delay another.
func (d *deliverer) process(ctx context.Context, in queueKey, sequence uint64) bool {
	p := &permit{deliverer: d, of: in}
	defer p.release()
	if d.settledElsewhere(sequence) {
		return true
	}
	m, found, ok := d.readLimited(ctx, p, sequence)
	if !found || !ok {
		return ok
	}
	before := d.attemptsBefore(ctx, in, m)
	attempts, pause := before.Attempt, before.NextAt.Sub(d.config.Now())
	for p.acquire(ctx) {
		to, err := d.find(ctx, in.workspace, in.destination)
		switch expires := m.EnqueuedAt.Add(d.config.GiveUp); {
		case domain.KindOf(err) == domain.NotFound && err != nil:
			p.release()
			return d.insist(ctx, "drop a webhook", func(ctx context.Context) error { return d.settle(ctx, sequence) })
		case err != nil:
			p.release()
			streams.Wait(ctx, time.Second)
		case to.destination.Enabled && pause > 0:
			p.release()
			d.awaitChange(ctx, in.workspace, in.destination, to.revision, pause)
			pause = 0
		case to.destination.Enabled:
			attempts++
			var settled bool
			if settled, pause = d.try(ctx, p, to, m, sequence, attempts); settled {
				return true
			}
		case d.config.Now().Before(expires): // it may be enabled again
			p.release()
			d.awaitChange(ctx, in.workspace, in.destination, to.revision, expires.Sub(d.config.Now()))
		default:
			o := outcome{problem: "The destination was disabled until it was too late.", code: domain.CallMisconfigured}
			last := newDelivery(m, attempts, o, d.config.Now())
			last.Status = Dead
			return d.finish(ctx, p, to.destination, last, m, sequence)
		}
	}
	return false
}

// readLimited reads the message at a sequence under a permit. It reports whether it
// is still there; ok is false when ctx ended before that was known.
func (d *deliverer) readLimited(ctx context.Context, p *permit, sequence uint64) (m message, found, ok bool) {
	if !p.acquire(ctx) {
		return m, false, false
	}
	sought := d.config.Now()
	ok = d.insist(ctx, "read a pending webhook", func(ctx context.Context) (err error) {
		m, found, err = d.read(ctx, p.of, sequence, sought)
		return err
	})
	return m, found, ok && ctx.Err() == nil
}

// try makes one attempt. It reports whether the webhook is settled, or how long to
// wait for the next attempt.
func (d *deliverer) try(ctx context.Context, p *permit, to entry, m message, sequence uint64, attempts int) (settled bool, pause time.Duration) {
	patient, cancel := lasting(ctx, grace)
	o := d.attempt(patient, to.destination, m)
	cutOff := patient.Err() != nil
	cancel()
	now := d.config.Now()
	result := newDelivery(m, attempts, o, now)
	switch pause = max(d.pause(attempts), o.retryAfter); {
	case o.delivered():
		return d.finish(ctx, p, to.destination, result, m, sequence), 0
	case cutOff: // the service stops
		return false, 0
	case o.status == http.StatusGone:
		d.gone(ctx, to)
		result.Problem = "The receiver answered 410 Gone, so the destination was disabled."
		d.note(ctx, to.destination, record{Delivery: result})
		return false, 0
	case now.Add(pause).After(m.EnqueuedAt.Add(d.config.GiveUp)) || to.destination.RetryAttempts != nil && attempts > *to.destination.RetryAttempts:
		result.Status = Dead
		return d.finish(ctx, p, to.destination, result, m, sequence), 0
	}
	result.NextAt = now.Add(pause)
	d.note(ctx, to.destination, record{Delivery: result})
	return false, pause
}
