package health

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/streams"
)

// Prober makes the probes of the queue and records their results. Any number of probers
// share the work, on Watermill Routers.
type Prober struct {
	Queue    *Queue
	Commands *commands.Service
	Metrics  *Metrics
	Now      func() time.Time
	Log      *slog.Logger

	underway sync.Map // by Ref, the integrations being probed
}

// systemActor is the actor of events that no caller caused.
const systemActor = "system"

// Run makes probes until ctx ends, and returns nil. When NATS is unavailable it retries.
func (p *Prober) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.route(ctx); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "making probes failed; retrying", slog.Any("err", err))
		}
		streams.Wait(ctx, p.Queue.Again)
	}
	return nil
}

func (p *Prober) route(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, watermill.NewSlogLogger(warningsOnly(p.Log)))
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(middleware.Recoverer)
	for _, topic := range []string{Due, Asked} {
		router.AddConsumerHandler("probe-"+topic, topic, p.Queue, func(msg *message.Message) error { return p.handle(msg, topic) })
	}
	return router.Run(ctx)
}

// warningsOnly returns log without Watermill's own messages below warnings.
func warningsOnly(log *slog.Logger) *slog.Logger {
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// atLeast passes records of a level and above.
type atLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (a atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= a.level && a.Handler.Enabled(ctx, level)
}

// handle makes one probe. It skips an integration that is gone or disabled, whose schedule
// ends elsewhere. Any other failure to record the result is retried.
func (p *Prober) handle(msg *message.Message, topic string) error {
	w, err := domain.ParseWorkspace(msg.Metadata[metaWorkspace])
	if err != nil {
		return nil //nolint:nilerr // not one of ours; a retry doesn't help
	}
	if since, err := time.Parse(time.RFC3339Nano, msg.Metadata[metaSince]); err == nil {
		late := p.Now().Sub(since)
		p.Metrics.observeLateness(topic, late)
		if topic == Asked && late > askedFor {
			return nil // nobody waits for it any longer
		}
	}
	id := domain.ID(msg.Metadata[metaID])
	if _, busy := p.underway.LoadOrStore(domain.Ref{Workspace: w, ID: id}, true); busy {
		return nil // a probe that takes longer than its interval; its result serves those who wait
	}
	defer p.underway.Delete(domain.Ref{Workspace: w, ID: id})
	var last *eventstore.Commit
	if topic == Asked {
		var answered bool
		if last, answered = p.answered(msg, w, id); answered {
			return nil
		}
	}
	ctx, span := p.Commands.Traces.Begin(msg.Context(), "probe."+topic, tracing.Consumer, msg.Metadata[metaTrace])
	by := commands.Caller{Workspace: w, Actor: systemActor, MayExec: true, TraceParent: tracing.Parent(ctx)} // the caller who configured it had the permission
	probe, _, err := p.Commands.ProbeEnabled(ctx, by, id, msg.UUID, last)
	span.Of(w, id)
	span.End(err)
	if kind := domain.KindOf(err); kind == domain.NotFound || kind == domain.Conflict {
		return nil
	}
	if err != nil {
		p.Log.WarnContext(msg.Context(), "recording a probe failed; probing again", slog.String("workspace_id", string(w)),
			slog.String("integration_id", string(id)), slog.Any("err", err))
		return err
	}
	p.Metrics.count(probe.Status)
	return nil
}

// answered reports whether the requester already has a result, which was on its way when
// the probe was requested again. It returns the last result, nil if it is unknown.
func (p *Prober) answered(msg *message.Message, w domain.Workspace, id domain.ID) (*eventstore.Commit, bool) {
	after, err := strconv.ParseUint(string(msg.Payload), 10, 64)
	if err != nil {
		return nil, false
	}
	last, err := p.Commands.Events.LastProbe(msg.Context(), w, id)
	if err != nil {
		return nil, false
	}
	return &last, last.Position > after
}
