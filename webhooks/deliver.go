package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/seed677028b5/integrations/domain"
)

// grace is how long attempts under way may take once the service is ending: one
// that is cut off is made again, and the receiver may have had it.
const grace = 5 * time.Second

// deliver delivers what is pending, in one process of all, until ctx ends.
func (w *Webhooks) deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.config.Events.Lead(ctx, "webhooks", func(ctx context.Context) error {
			return newDeliverer(w).run(ctx)
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
	begun   time.Time
	working sync.WaitGroup

	slots    // behind mu, but for what is in them
	mu       sync.Mutex
	known    map[uint64]time.Time           // when what is in the lanes was stored, by sequence
	furthest uint64                         // the last sequence that was read
	waiting  map[lane][]uint64              // sequences behind the one that is being delivered; no entry: none is
	earlier  map[string]map[string]Delivery // the last attempt at each webhook before this process took over, by destination
	reading  singleflight.Group             // of earlier
	removal  removal

	settlements chan settlement
	noting      chan struct{} // how many attempts are added to the log at once
}

// lane is what is delivered in order.
type lane struct {
	workspace   domain.Workspace
	destination string
	integration domain.ID
}

func (l lane) key() string { return keyOf(l.workspace, l.destination) }

func newDeliverer(w *Webhooks) *deliverer {
	return &deliverer{
		Webhooks: w, begun: w.config.Now(), slots: newSlots(), known: map[uint64]time.Time{}, waiting: map[lane][]uint64{},
		earlier: map[string]map[string]Delivery{}, removal: removal{settled: map[uint64]time.Time{}},
		settlements: make(chan settlement), noting: make(chan struct{}, atOnceWorkspace),
	}
}

// run reads all that is pending, then what comes, until ctx ends. It reads no
// more than sequences ahead, so that what waits takes little memory.
func (d *deliverer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var settling sync.WaitGroup
	settling.Go(func() { d.settleAll(context.WithoutCancel(ctx)) }) // also what ends after ctx did
	settling.Go(func() { d.removeAll(ctx) })
	defer func() {
		cancel()
		d.mu.Lock()
		d.mu.Unlock() //nolint:staticcheck // empty on purpose: from here on put begins nothing
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

// follow reads what is pending from its beginning, and returns when ctx ends, or
// when there is more pending than was read: a replica that was behind, or a leader
// that lost its place, may have passed something over.
func (d *deliverer) follow(ctx context.Context) error {
	settled, err := d.settledBefore(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.removal = removal{settled: settled}
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
		in, ok := laneOf(msg.Subject())
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
		case <-consuming.Closed(): // it ended because the connection did
			return unavailable(jetstream.ErrConnectionClosed, "read pending webhooks")
		case <-compare.C:
			d.compare(ctx, &c)
		}
	}
	d.config.Log.WarnContext(ctx, "pending webhooks were passed over; reading them again")
	return nil
}

func laneOf(subject string) (lane, bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return lane{}, false
	}
	return lane{domain.Workspace(parts[1]), parts[2], domain.ID(parts[3])}, true
}

// put has the delivery at a sequence made after what came before it in its lane.
func (d *deliverer) put(ctx context.Context, in lane, sequence uint64, stored time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.furthest = sequence
	_, known := d.known[sequence]
	if known || d.isSettled(sequence, stored) || ctx.Err() != nil { // the reader may call once more after it was stopped
		return
	}
	d.known[sequence] = stored
	if sequence <= d.removal.low { // another stream: what was known of this one's beginning is void
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

// next returns what waits in a lane. When nothing does, the lane ends.
func (d *deliverer) next(in lane, settled uint64) (uint64, bool) {
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

// process tries the delivery at a sequence until it was made, is dead or is not
// wanted any more. It reports false when ctx ended before. All that it asks of the
// server it asks in its turn, so that a workspace with many delays no other.
func (d *deliverer) process(ctx context.Context, in lane, sequence uint64) bool {
	t := &turn{deliverer: d, in: in}
	defer t.leave()
	if d.settledElsewhere(sequence) {
		return true
	}
	m, found, ok := d.readInTurn(ctx, t, sequence)
	if !found || !ok {
		return ok
	}
	before := d.attemptsBefore(ctx, in, m)
	attempts, pause := before.Attempt, before.NextAt.Sub(d.config.Now())
	for t.enter(ctx) {
		to, err := d.find(ctx, in.workspace, in.destination)
		switch expires := m.EnqueuedAt.Add(d.config.GiveUp); {
		case domain.KindOf(err) == domain.NotFound && err != nil:
			t.leave()
			return d.insist(ctx, "drop a webhook", func(ctx context.Context) error { return d.settle(ctx, sequence) })
		case err != nil:
			t.leave()
			sleep(ctx, time.Second)
		case to.destination.Enabled && pause > 0:
			t.leave()
			d.awaitChange(ctx, in.workspace, in.destination, to.revision, pause)
			pause = 0
		case to.destination.Enabled:
			attempts++
			var settled bool
			if settled, pause = d.try(ctx, t, to, m, sequence, attempts); settled {
				return true
			}
		case d.config.Now().Before(expires): // it may be enabled again
			t.leave()
			d.awaitChange(ctx, in.workspace, in.destination, to.revision, expires.Sub(d.config.Now()))
		default:
			o := outcome{problem: "The destination was disabled until it was too late.", code: domain.CallMisconfigured}
			last := newDelivery(m, attempts, o, d.config.Now())
			last.Status = Dead
			return d.finish(ctx, t, to.destination, last, m, sequence)
		}
	}
	return false
}

// readInTurn reads the message at a sequence. It reports whether it is still
// there, and false as ok when ctx ended before that was known.
func (d *deliverer) readInTurn(ctx context.Context, t *turn, sequence uint64) (m message, found, ok bool) {
	if !t.enter(ctx) {
		return m, false, false
	}
	sought := d.config.Now()
	ok = d.insist(ctx, "read a pending webhook", func(ctx context.Context) (err error) {
		m, found, err = d.read(ctx, t.in, sequence, sought)
		return err
	})
	return m, found, ok && ctx.Err() == nil
}

// try makes one attempt. It reports whether the delivery is settled, or how long
// to wait until the next.
func (d *deliverer) try(ctx context.Context, t *turn, to entry, m message, sequence uint64, attempts int) (settled bool, pause time.Duration) {
	patient, cancel := lasting(ctx, grace)
	o := d.attempt(patient, to.destination, m)
	cutOff := patient.Err() != nil
	cancel()
	now := d.config.Now()
	result := newDelivery(m, attempts, o, now)
	switch pause = max(d.pause(attempts), o.retryAfter); {
	case o.delivered():
		return d.finish(ctx, t, to.destination, result, m, sequence), 0
	case cutOff: // the service is ending
		return false, 0
	case o.status == http.StatusGone:
		d.gone(ctx, to)
		result.Problem = "The receiver answered 410 Gone, so the destination was disabled."
		d.note(ctx, to.destination, record{Delivery: result})
		return false, 0
	case now.Add(pause).After(m.EnqueuedAt.Add(d.config.GiveUp)):
		result.Status = Dead
		return d.finish(ctx, t, to.destination, result, m, sequence), 0
	}
	result.NextAt = now.Add(pause)
	d.note(ctx, to.destination, record{Delivery: result})
	return false, pause
}
