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
)

// Prober makes the probes of the queue and records what they see. Any number of
// them share the work, on Routers of Watermill.
type Prober struct {
	Queue    *Queue
	Commands *commands.Service
	Metrics  *Metrics
	Now      func() time.Time
	Log      *slog.Logger

	underway sync.Map // key: an integration that is being probed
}

// systemActor is who causes what nobody asked for.
const systemActor = "system"

// Run makes probes until ctx ends, and returns nil then. When NATS is away it
// tries again.
func (p *Prober) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.route(ctx); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "no probes are made just now; trying again", slog.Any("err", err))
		}
		pause(ctx, p.Queue.Again)
	}
	return nil
}

func (p *Prober) route(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, watermill.NewSlogLogger(quiet(p.Log)))
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(middleware.Recoverer)
	for _, topic := range []string{Due, Asked} {
		router.AddConsumerHandler("probe-"+topic, topic, p.Queue, func(msg *message.Message) error { return p.handle(msg, topic) })
	}
	return router.Run(ctx)
}

// quiet is log for what Watermill tells of itself, of which only warnings are
// news.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// atLeast passes on records of a level and above.
type atLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (a atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= a.level && a.Handler.Enabled(ctx, level)
}

// handle makes one probe. An integration that is gone or disabled needs none:
// its schedule is ended elsewhere. Anything else that keeps the result from
// being recorded is tried again.
func (p *Prober) handle(msg *message.Message, topic string) error {
	w, err := domain.ParseWorkspace(msg.Metadata[metaWorkspace])
	if err != nil {
		return nil //nolint:nilerr // not one of ours; trying again won't help
	}
	if since, err := time.Parse(time.RFC3339Nano, msg.Metadata[metaSince]); err == nil {
		late := p.Now().Sub(since)
		p.Metrics.late(topic, late)
		if topic == Asked && late > askedFor {
			return nil // nobody waits any more
		}
	}
	id := domain.ID(msg.Metadata[metaID])
	if _, busy := p.underway.LoadOrStore(key{w, id}, true); busy {
		return nil // one that takes longer than its schedule; whoever waits gets what it sees
	}
	defer p.underway.Delete(key{w, id})
	if topic == Asked && p.answered(msg, w, id) {
		return nil
	}
	by := commands.Caller{Workspace: w, Actor: systemActor, MayExec: true} // whoever configured it was allowed to
	probe, _, err := p.Commands.ProbeEnabled(msg.Context(), by, id, msg.UUID)
	if kind := domain.KindOf(err); kind == domain.NotFound || kind == domain.Conflict {
		return nil
	}
	if err != nil {
		p.Log.WarnContext(msg.Context(), "a probe was not recorded; making it again", slog.String("workspace_id", string(w)),
			slog.String("integration_id", string(id)), slog.Any("err", err))
		return err
	}
	p.Metrics.saw(probe.Status)
	return nil
}

// answered reports whether who asked has a result already, which was on its way
// when they asked again.
func (p *Prober) answered(msg *message.Message, w domain.Workspace, id domain.ID) bool {
	after, err := strconv.ParseUint(string(msg.Payload), 10, 64)
	if err != nil {
		return false
	}
	last, err := p.Commands.Events.LastProbe(msg.Context(), w, id)
	return err == nil && last.Position > after
}
