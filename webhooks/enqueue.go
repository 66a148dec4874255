package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// serve dispatches the events of a workspace until none is left or ctx ends.
func (d *dispatcher) serve(ctx context.Context, q *eventQueue) {
	for ctx.Err() == nil {
		events, behind := d.take(q)
		switch {
		case len(events) > 0:
			d.enqueue(ctx, q, events, events[len(events)-1].Position)
		case behind:
			if err := d.readUp(ctx, q); err != nil && ctx.Err() == nil {
				d.config.Log.WarnContext(ctx, "events can't be read for webhooks; trying again", slog.String("workspace_id", string(q.workspace)), slog.Any("err", err))
				streams.Wait(ctx, time.Second)
			}
		default:
			return
		}
	}
}

// take returns what waits in a queue, or whether there is more in the log. With
// neither, the queue ends.
func (d *dispatcher) take(q *eventQueue) (events []eventstore.Commit, behind bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	events, q.events = q.events, nil
	d.waiting -= len(events)
	behind = q.until > q.done
	if len(events) == 0 && !behind {
		delete(d.queues, q.workspace)
		d.progress = d.config.Now()
	}
	return events, behind
}

// readUp dispatches the events of a workspace that found no room in its queue.
func (d *dispatcher) readUp(ctx context.Context, q *eventQueue) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for commits, err := range d.after(ctx, eventstore.Selection{Workspace: q.workspace, Authorizations: true}, q.done) {
		if err != nil {
			return err
		}
		for len(commits) > 0 && ctx.Err() == nil {
			some := commits[:min(len(commits), maxWaitingEach)]
			commits = commits[len(some):]
			some, end := d.within(q, some)
			d.enqueue(ctx, q, some, end.position)
			if end.reached {
				return nil
			}
		}
	}
	return ctx.Err()
}

// endOf is the end of a range of events.
type endOf struct {
	position uint64
	reached  bool // the last event that found no room is within, or gone from the log
}

// within cuts events off after the last one that found no room.
func (d *dispatcher) within(q *eventQueue, events []eventstore.Commit) ([]eventstore.Commit, endOf) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, c := range events {
		switch {
		case c.Position == q.until:
			return events[:n+1], endOf{q.until, true}
		case c.Position > q.until:
			return events[:n], endOf{q.until, true}
		}
	}
	return events, endOf{position: events[len(events)-1].Position}
}

// enqueue stores the deliveries of the events of a workspace up to a position,
// and tries again until it has or ctx ends.
func (d *dispatcher) enqueue(ctx context.Context, q *eventQueue, events []eventstore.Commit, upTo uint64) {
	var left []pendingDelivery
	known := false
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, requestTime) {
		var err error
		if !known {
			left, err = d.deliveriesOf(ctx, events)
			known = err == nil
		}
		if err == nil {
			left, err = d.publishInOrder(ctx, left)
		}
		if err == nil {
			d.dispatched(q, upTo)
			return
		}
		if ctx.Err() == nil {
			d.config.Log.WarnContext(ctx, "events were not turned into webhooks; trying again", slog.String("workspace_id", string(q.workspace)),
				slog.Uint64("up_to", upTo), slog.Duration("pause", pause), slog.Any("err", err))
		}
		streams.Wait(ctx, pause)
	}
}

// dispatched notes that the events of a workspace up to a position are dispatched.
func (d *dispatcher) dispatched(q *eventQueue, upTo uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q.done = upTo
	d.progress = d.config.Now()
	d.mark()
}

// deliveriesOf returns what destinations want to hear of events. An event that
// can't be read is passed over: it would hold up all others of its workspace, and
// no later version could send it in its place.
func (d *dispatcher) deliveriesOf(ctx context.Context, events []eventstore.Commit) ([]pendingDelivery, error) {
	var all []pendingDelivery
	for _, e := range events {
		if e.Err != nil {
			d.config.Log.ErrorContext(ctx, "an event can't be read; no webhook is sent for it", slog.Uint64("position", e.Position), slog.Any("err", e.Err))
			continue
		}
		wanted := d.wanted(e)
		if len(wanted) == 0 {
			continue
		}
		data, err := d.dataOf(e)
		if err != nil {
			return nil, fmt.Errorf("make a webhook of event %d: %w", e.Position, err)
		}
		body, err := json.Marshal(payload{Type: typeOf(e.Event), Timestamp: e.Meta.At.UTC().Truncate(time.Microsecond), Data: data})
		if err != nil {
			return nil, fmt.Errorf("make a webhook of event %d: %w", e.Position, err)
		}
		for _, to := range wanted {
			m := message{ID: messageID(to, d.sort, d.config.Events.Lineage().Name(e.Position)), Type: typeOf(e.Event), Integration: e.ID, Position: e.Position, EnqueuedAt: d.config.Now(), Body: body, TraceParent: e.Meta.TraceParent}
			// The id of the command distinguishes an event from another one that a log which
			// lost its end has at the same position.
			stored, err := json.Marshal(m)
			if err != nil {
				return nil, fmt.Errorf("make a webhook of event %d: %w", e.Position, err)
			}
			all = append(all, pendingDelivery{pendingSubject(to, e.ID), m.ID + "-" + e.Meta.CommandID, stored})
		}
	}
	return all, nil
}

// wanted returns the destinations of an event.
func (d *dispatcher) wanted(e eventstore.Commit) []domain.WebhookDestination {
	typ := typeOf(e.Event)
	if typ == "" {
		return nil
	}
	return slices.DeleteFunc(d.List(e.Workspace), func(to domain.WebhookDestination) bool {
		return !to.Enabled || e.Position <= d.since(to) || !to.Wants(typ)
	})
}

// typeOf returns the type of webhook for an event; empty: there is none.
func typeOf(e domain.Event) string {
	switch is := e.(type) {
	case domain.IntegrationCreated, domain.IntegrationUpdated, domain.IntegrationDeleted, domain.AuthorizationChanged:
		return domain.NameOf(e)
	case domain.IntegrationProbed:
		if is.Changed() {
			return domain.HealthChanged
		}
	case domain.CallRequested, domain.CallApproved, domain.CallDenied, domain.CallExpired, domain.CallStarted, domain.CallMade, domain.CallCancelled, domain.CallLost:
		return domain.NameOf(e)
	case domain.IntegrationInvoked:
	}
	return ""
}

// dataOf returns the data of the webhook for an event, as JSON.
func (d *dispatcher) dataOf(e eventstore.Commit) ([]byte, error) {
	probed, ok := e.Event.(domain.IntegrationProbed)
	if !ok {
		e.Meta.Address = "" // where somebody asked from is not for other systems
		return d.config.Show(e)
	}
	return json.Marshal(healthData{
		Position: e.Position, IntegrationID: e.ID, Type: domain.HealthChanged, Time: probed.Probe.At.UTC(), Status: probed.Probe.Status,
		Previous: nullable(probed.Previous), Message: probed.Probe.Message, HTTPStatus: nullable(probed.Probe.HTTPStatus),
	})
}

func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
