package projections

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// maxTraced is how old an event is at most when its projection gets a span: a rebuild, which
// reads the whole log, gets none.
const maxTraced = time.Minute

// traceBatch begins a span for each event of a batch that is part of a trace, and returns what
// ends them.
func traceBatch(ctx context.Context, traces tracing.Tracer, commits []eventstore.Commit) func(error) {
	if !traces.On() {
		return func(error) {}
	}
	var spans []tracing.Span
	oldest := time.Now().Add(-maxTraced) //nolint:forbidigo // decides nothing but what is traced
	for _, c := range commits {
		if c.Meta.TraceParent == "" || c.Meta.At.Before(oldest) || !tracing.Sampled(c.Meta.TraceParent) {
			continue
		}
		_, span := traces.Begin(ctx, "project", tracing.Consumer, c.Meta.TraceParent)
		span.Of(c.Workspace, c.ID)
		span.SetPosition(c.Position)
		span.SetNumber("integrations.batch_size", len(commits))
		spans = append(spans, span)
	}
	return func(err error) {
		for _, span := range spans {
			span.End(err)
		}
	}
}
