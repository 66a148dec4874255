package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Status is the result of an attempt.
type Status string

// The results of an attempt. After Failed there is another attempt.
const (
	Delivered Status = "delivered"
	Failed    Status = "failed"
	Dead      Status = "dead"
)

// Statuses lists them all.
func Statuses() []Status { return []Status{Delivered, Failed, Dead} }

// Delivery is one attempt to deliver one event to one destination.
type Delivery struct {
	ID          string           `json:"id"` // the webhook-id
	Type        string           `json:"type"`
	Integration domain.ID        `json:"integration_id,omitempty"`
	Position    uint64           `json:"position,omitempty"`
	Attempt     int              `json:"attempt"` // from 1; a redelivery starts from 1 again
	Status      Status           `json:"status"`
	HTTPStatus  int              `json:"http_status,omitempty"` // 0: no answer
	Duration    time.Duration    `json:"duration_ns"`
	Code        domain.ErrorCode `json:"error_code,omitempty"`
	Problem     string           `json:"error,omitempty"` // a sentence; empty: delivered
	At          time.Time        `json:"at"`
	NextAt      time.Time        `json:"next_at,omitzero"` // of the next attempt
}

// record is a delivery as it is kept, with what it takes to make it again. One
// that failed lacks that: it will be made again anyway.
type record struct {
	Delivery
	Message  *message `json:"message,omitempty"`
	sequence uint64
}

// note counts an attempt and adds it to the log. The log is for people: when it
// can't be written, the delivery stands.
func (w *Webhooks) note(ctx context.Context, d domain.WebhookDestination, r record) {
	w.counts[slices.Index(Statuses(), r.Status)].Add(1)
	id := fmt.Sprintf("%s-%d-%d", r.ID, r.Attempt, r.At.UnixNano())
	if err := w.publish(context.WithoutCancel(ctx), logPrefix+keyOf(d.Workspace, d.ID), id, r); err != nil {
		w.config.Log.WarnContext(ctx, "an attempt of a webhook was not added to its log", slog.String("delivery_id", r.ID), slog.Any("err", err))
	}
}

// Count returns how many attempts of this process had a status.
func (w *Webhooks) Count(of Status) uint64 {
	n := slices.Index(Statuses(), of)
	if n < 0 {
		return 0
	}
	return w.counts[n].Load()
}

// Deliveries returns up to limit of the attempts to deliver to a destination,
// newest first, from before a place on; place 0 is after the last. It returns
// where the next page begins, 0 when there is none. With a status, they are
// those alone; the dead ones are those that are still dead.
func (w *Webhooks) Deliveries(ctx context.Context, of domain.Workspace, id string, status Status, before uint64, limit int) (page []Delivery, next uint64, err error) {
	if _, err := w.find(ctx, of, id); err != nil {
		return nil, 0, err
	}
	stream, prefix := logName, logPrefix
	if status == Dead {
		stream, prefix = deadName, deadPrefix
	}
	all, err := w.records(ctx, stream, prefix+keyOf(of, id))
	if err != nil {
		return nil, 0, err
	}
	last := uint64(0)
	for _, r := range slices.Backward(all) {
		if before > 0 && r.sequence >= before || status != "" && r.Status != status {
			continue
		}
		if len(page) == limit {
			return page, last, nil
		}
		page, last = append(page, r.Delivery), r.sequence
	}
	return page, 0, nil
}

// records returns all that a subject holds, at most a thousand, oldest first.
func (w *Webhooks) records(ctx context.Context, stream, subject string) ([]record, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var all []record
	for after := uint64(0); ; {
		messages, err := jetstreamext.GetBatch(ctx, w.js, stream, 500, jetstreamext.GetBatchSeq(after+1), jetstreamext.GetBatchSubject(subject))
		if err != nil {
			return nil, unavailable(err, "read "+subject)
		}
		got := 0
		for msg, err := range messages {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return all, nil
			}
			if err != nil {
				return nil, unavailable(err, "read "+subject)
			}
			r := record{sequence: msg.Sequence}
			if err := json.Unmarshal(msg.Data, &r); err != nil {
				return nil, fmt.Errorf("read %s: %w", subject, err)
			}
			all, after = append(all, r), msg.Sequence
			got++
		}
		if err := ctx.Err(); err != nil { // the sequence ends in silence when time is up
			return nil, unavailable(err, "read "+subject)
		}
		if got == 0 {
			return all, nil
		}
	}
}

// Redeliver sends again what is dead, or was delivered and is still in the log:
// after what waits, under the same webhook-id.
func (w *Webhooks) Redeliver(ctx context.Context, of domain.Workspace, id, delivery string) error {
	d, err := w.Get(ctx, of, id)
	if err != nil {
		return err
	}
	if !d.Enabled {
		return domain.Errorf(domain.Conflict, "destination_disabled", "the webhook destination is disabled; enable it first")
	}
	found, dead, err := w.findDelivery(ctx, d, delivery)
	if err != nil {
		return err
	}
	if found.Message == nil {
		return domain.Errorf(domain.Conflict, "delivery_pending", "this delivery is still being tried, or is no longer kept")
	}
	m := *found.Message
	m.EnqueuedAt = w.config.Now()
	if err := w.publish(ctx, pendingSubject(d, m.Integration), fmt.Sprintf("%s-%s-%d", m.ID, found.Status, found.sequence), m); err != nil {
		return err
	}
	if dead {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		if err := streams.Delete(ctx, w.js, w.dead, found.sequence); err != nil {
			return unavailable(err, "redeliver a webhook")
		}
	}
	return nil
}

// findDelivery returns the last record of a delivery, and whether it is a dead
// letter.
func (w *Webhooks) findDelivery(ctx context.Context, d domain.WebhookDestination, id string) (record, bool, error) {
	for _, in := range []struct{ stream, prefix string }{{deadName, deadPrefix}, {logName, logPrefix}} {
		all, err := w.records(ctx, in.stream, in.prefix+keyOf(d.Workspace, d.ID))
		if err != nil {
			return record{}, false, err
		}
		for _, r := range slices.Backward(all) {
			if r.ID == id && r.Type != domain.WebhookTest {
				return r, in.stream == deadName, nil
			}
		}
	}
	return record{}, false, domain.Errorf(domain.NotFound, "delivery_not_found", "there is no such delivery to this webhook destination, or it is too old")
}
