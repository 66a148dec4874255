package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wm "github.com/ThreeDotsLabs/watermill/message"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

// occurrence is what destinations are told of: its type and its data, once for
// each position of its stream.
type occurrence struct {
	sort  string // tells the streams apart: changes or probes
	after func(domain.WebhookDestination) uint64
	typ   string
	data  []byte
}

// dispatch reads both topics and turns each event into a delivery for every
// destination that wants it, until ctx ends. One process does, in the order of
// the log. A panic is a failure to the router, so the event is taken again.
func (w *Webhooks) dispatch(ctx context.Context) error {
	quiet := watermill.NewSlogLoggerWithLevelMapping(w.config.Log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug, slog.LevelError: slog.LevelWarn})
	router, err := wm.NewRouter(wm.RouterConfig{CloseTimeout: requestTime}, quiet)
	if err != nil {
		return fmt.Errorf("dispatch webhooks: %w", err)
	}
	for name, topic := range map[string]string{"webhooks-changes": subscriber.Changes(""), "webhooks-probes": subscriber.Probes("")} {
		events, err := subscriber.New(w.config.Events, subscriber.Config{Name: "webhooks", AtOnce: 1, Log: w.config.Log})
		if err != nil {
			return fmt.Errorf("dispatch webhooks: %w", err)
		}
		router.AddConsumerHandler(name, topic, events, w.take)
	}
	if err := router.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("dispatch webhooks: %w", err)
	}
	return nil
}

// take dispatches the event of a message. One that can't be read is passed over:
// it would hold up all others, and no later version could send it in its place.
func (w *Webhooks) take(msg *wm.Message) error {
	e, err := subscriber.EventOf(msg)
	if err != nil {
		w.config.Log.ErrorContext(msg.Context(), "an event can't be read, so no webhook tells of it", slog.String("position", msg.Metadata[subscriber.MetaPosition]), slog.Any("err", err))
		return nil
	}
	o, err := w.occurrenceOf(e)
	if err != nil || o.typ == "" {
		return err
	}
	return w.enqueue(msg.Context(), e, o)
}

// occurrenceOf returns what is told of an event; no type when it is nothing.
func (w *Webhooks) occurrenceOf(e eventstore.Commit) (occurrence, error) {
	switch is := e.Event.(type) {
	case domain.IntegrationCreated, domain.IntegrationUpdated, domain.IntegrationDeleted:
		e.Meta.Address = "" // where somebody asked from is not for other systems
		data, err := w.config.Show(e)
		return occurrence{"c", func(d domain.WebhookDestination) uint64 { return d.AfterChange }, domain.NameOf(e.Event), data}, err
	case domain.IntegrationProbed:
		if !is.Changed() {
			break
		}
		data, err := json.Marshal(healthData{
			Position: e.Position, IntegrationID: e.ID, Type: domain.HealthChanged, Time: is.Probe.At.UTC(), Status: is.Probe.Status,
			Previous: nullable(is.Previous), Message: is.Probe.Message, HTTPStatus: nullable(is.Probe.HTTPStatus),
		})
		return occurrence{"p", func(d domain.WebhookDestination) uint64 { return d.AfterProbe }, domain.HealthChanged, data}, err
	case domain.IntegrationInvoked:
	}
	return occurrence{}, nil
}

func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// enqueue stores a delivery for every destination that wants an event, and then
// how far it has come: the position that the subscriber keeps lags behind, and
// what is delivered by then would be sent again.
func (w *Webhooks) enqueue(ctx context.Context, e eventstore.Commit, o occurrence) error {
	if err := w.catchUp(ctx); err != nil { // so that no destination older than the event is missed
		return err
	}
	var wanted []domain.WebhookDestination
	for _, d := range w.List(e.Workspace) {
		if d.Enabled && e.Position > o.after(d) && d.Wants(o.typ) {
			wanted = append(wanted, d)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	mark := "webhooks-dispatched." + o.sort
	done, _, err := w.config.Events.Position(ctx, mark)
	if err != nil || e.Position <= done {
		return err
	}
	body, err := json.Marshal(payload{Type: o.typ, Timestamp: e.Meta.At.UTC().Truncate(time.Microsecond), Data: json.RawMessage(o.data)})
	if err != nil {
		return fmt.Errorf("tell of event %d: %w", e.Position, err)
	}
	for _, d := range wanted {
		m := message{ID: eventID(d, o.sort, e.Position), Type: o.typ, Integration: e.ID, Position: e.Position, EnqueuedAt: w.config.Now(), Body: body}
		if err := w.publish(ctx, pendingSubject(d, e.ID), m.ID, m); err != nil {
			return err
		}
	}
	return w.config.Events.SavePosition(ctx, mark, e.Position)
}

func pendingSubject(d domain.WebhookDestination, id domain.ID) string {
	return pendingPrefix + keyOf(d.Workspace, d.ID) + "." + string(id)
}
