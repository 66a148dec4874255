package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// How many attempts are made at once.
const (
	atOnceEach = 8   // to one destination
	atOnceAll  = 512 // to all
)

// grace is how long attempts under way may take once the service is ending: one
// that is cut off is made again, and the receiver may have had it.
const grace = 5 * time.Second

// deliver delivers what is pending, in one process of all, until ctx ends.
func (w *Webhooks) deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.config.Events.Lead(ctx, "webhooks", func(ctx context.Context) error {
			d := &deliverer{
				Webhooks: w, waiting: map[lane][]uint64{}, slots: make(chan struct{}, atOnceAll), each: map[string]chan struct{}{},
			}
			return d.run(ctx)
		})
		if ctx.Err() == nil {
			w.config.Log.WarnContext(ctx, "webhooks are not delivered; trying again", slog.Any("err", err))
			sleep(ctx, time.Second)
		}
	}
	return nil
}

// deliverer delivers what is pending: what is about one integration to one
// destination in order, everything else at once.
type deliverer struct {
	*Webhooks
	slots   chan struct{} // one for each attempt that is being made
	working sync.WaitGroup

	mu      sync.Mutex
	last    uint64                   // the last sequence that was put into a lane
	waiting map[lane][]uint64        // sequences behind the one that is being delivered; no entry: none is
	each    map[string]chan struct{} // slots of each destination, by its key
}

// lane is what is delivered in order.
type lane struct {
	workspace   domain.Workspace
	destination string
	integration domain.ID
}

func (l lane) key() string { return keyOf(l.workspace, l.destination) }

// run reads all that is pending, then what comes, until ctx ends. It reads no
// more than sequences ahead, so that what waits takes little memory.
func (d *deliverer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.working.Wait()
	defer cancel()
	consumer, err := d.js.OrderedConsumer(ctx, pendingName, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return unavailable(err, "read pending webhooks")
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		parts := strings.Split(msg.Subject(), ".")
		if err != nil || len(parts) != 4 {
			d.config.Log.ErrorContext(ctx, "a pending webhook can't be read", slog.String("subject", msg.Subject()), slog.Any("err", err))
			return
		}
		d.put(ctx, lane{domain.Workspace(parts[1]), parts[2], domain.ID(parts[3])}, meta.Sequence.Stream)
	}, jetstream.PullMaxMessages(5000))
	if err != nil {
		return unavailable(err, "read pending webhooks")
	}
	defer consuming.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-consuming.Closed(): // it ended because the connection did
		return unavailable(jetstream.ErrConnectionClosed, "read pending webhooks")
	}
}

// put has the delivery at a sequence made after what came before it in its lane.
func (d *deliverer) put(ctx context.Context, in lane, sequence uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sequence <= d.last {
		return
	}
	d.last = sequence
	if behind, busy := d.waiting[in]; busy {
		d.waiting[in] = append(behind, sequence)
		return
	}
	d.waiting[in] = nil
	d.working.Go(func() {
		for more := true; more && d.settle(ctx, in, sequence); {
			sequence, more = d.next(in)
		}
	})
}

// next returns what waits in a lane. When nothing does, the lane ends.
func (d *deliverer) next(in lane) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	behind := d.waiting[in]
	if len(behind) == 0 {
		delete(d.waiting, in)
		return 0, false
	}
	d.waiting[in] = behind[1:]
	return behind[0], true
}

// settle tries the delivery at a sequence until it was made, is dead or is not
// wanted any more. It reports false when ctx ended before.
func (d *deliverer) settle(ctx context.Context, in lane, sequence uint64) bool {
	var m message
	found := false
	if !d.insist(ctx, "read a pending webhook", func(ctx context.Context) (err error) { m, found, err = d.read(ctx, sequence); return err }) {
		return false
	}
	for attempts := 0; found && ctx.Err() == nil; {
		to, err := d.find(ctx, in.workspace, in.destination)
		switch expires := m.EnqueuedAt.Add(d.config.GiveUp); {
		case domain.KindOf(err) == domain.NotFound && err != nil:
			return d.insist(ctx, "drop a webhook", func(ctx context.Context) error { return d.remove(ctx, sequence) })
		case err != nil:
			sleep(ctx, time.Second)
		case to.destination.Enabled:
			attempts++
			if settled, pause := d.try(ctx, in, to, m, sequence, attempts); settled {
				return true
			} else if pause > 0 {
				d.awaitChange(ctx, in.key(), to.revision, pause)
			}
		case d.config.Now().Before(expires): // it may be enabled again
			d.awaitChange(ctx, in.key(), to.revision, expires.Sub(d.config.Now()))
		default:
			o := outcome{problem: "The destination was disabled until it was too late.", code: domain.CallMisconfigured}
			last := newDelivery(m, attempts, o, d.config.Now())
			last.Status = Dead
			return d.finish(ctx, to.destination, last, m, sequence)
		}
	}
	return ctx.Err() == nil
}

// try makes one attempt. It reports whether the delivery is settled, or how long
// to wait until the next.
func (d *deliverer) try(ctx context.Context, in lane, to entry, m message, sequence uint64, attempts int) (settled bool, pause time.Duration) {
	leave := d.enter(ctx, in)
	if leave == nil {
		return false, 0
	}
	patient, cancel := lasting(ctx, grace)
	o := d.attempt(patient, to.destination, m)
	cutOff := patient.Err() != nil
	cancel()
	leave()
	now := d.config.Now()
	result := newDelivery(m, attempts, o, now)
	switch pause = max(d.pause(now.Sub(m.EnqueuedAt)), o.retryAfter); {
	case o.delivered():
		return d.finish(ctx, to.destination, result, m, sequence), 0
	case cutOff: // the service is ending
		return false, 0
	case o.status == http.StatusGone:
		d.gone(ctx, to)
		result.Problem = "The receiver answered 410 Gone, so the destination was disabled."
		d.note(ctx, to.destination, record{Delivery: result})
		return false, 0
	case now.Add(pause).After(m.EnqueuedAt.Add(d.config.GiveUp)):
		result.Status = Dead
		return d.finish(ctx, to.destination, result, m, sequence), 0
	}
	result.NextAt = now.Add(pause)
	d.note(ctx, to.destination, record{Delivery: result})
	return false, pause
}

// enter waits for a slot of the destination and one of all, and returns what
// gives them back; nil when ctx ended before.
func (d *deliverer) enter(ctx context.Context, in lane) (leave func()) {
	d.mu.Lock()
	own := d.each[in.key()]
	if own == nil {
		own = make(chan struct{}, atOnceEach)
		d.each[in.key()] = own
	}
	d.mu.Unlock()
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots; <-own }
	case <-ctx.Done():
		<-own
		return nil
	}
}

// gone disables a destination that said it is gone, unless it was changed since.
func (d *deliverer) gone(ctx context.Context, to entry) {
	next := to.destination.Disable("The receiver answered 410 Gone.", d.config.Now())
	if err := d.store(ctx, next, to.revision); err != nil {
		d.config.Log.WarnContext(ctx, "a webhook destination that is gone was not disabled", slog.String("destination_id", to.destination.ID), slog.Any("err", err))
		sleep(ctx, d.config.First)
	}
}

// finish ends a delivery: it is kept when it is dead, and is pending no more
// before anything else, so that it is not sent again.
func (d *deliverer) finish(ctx context.Context, to domain.WebhookDestination, last Delivery, m message, sequence uint64) bool {
	whole := record{Delivery: last, Message: &m}
	if last.Status == Dead {
		if !d.insist(ctx, "keep a dead webhook", func(ctx context.Context) error {
			return d.publish(ctx, deadPrefix+keyOf(to.Workspace, to.ID), m.ID+m.EnqueuedAt.Format(time.RFC3339Nano), whole)
		}) {
			return false
		}
	}
	if !d.insist(ctx, "end a webhook", func(ctx context.Context) error { return d.remove(ctx, sequence) }) {
		return false
	}
	if last.Status == Dead {
		whole.Message = nil // the dead letter has it
	}
	d.note(ctx, to, whole)
	return true
}
