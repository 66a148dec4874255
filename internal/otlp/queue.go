package otlp

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Counts are how many spans have left the queue, by how.
type Counts struct {
	Exported uint64
	Full     uint64 // dropped: the queue had no room
	Failed   uint64 // dropped: the collector didn't take them
}

// queue passes spans that have ended to an exporter, in batches. It implements
// sdk.SpanProcessor. The one of the SDK doesn't count what it drops.
type queue struct {
	config   Config
	exporter sdk.SpanExporter
	log      *slog.Logger
	spans    chan sdk.ReadOnlySpan
	flush    chan chan struct{}
	stopping context.Context // ends when what waits is exported at last
	stop     context.CancelFunc
	ended    chan struct{}
	failing  bool // the last export failed
	once     sync.Once

	exported, full, failed atomic.Uint64
}

func newQueue(c Config, e sdk.SpanExporter, log *slog.Logger) *queue {
	q := &queue{config: c, exporter: e, log: log, spans: make(chan sdk.ReadOnlySpan, c.Queue), flush: make(chan chan struct{}), ended: make(chan struct{})}
	q.stopping, q.stop = context.WithCancel(context.Background())
	go q.run()
	return q
}

func (q *queue) counts() Counts {
	return Counts{Exported: q.exported.Load(), Full: q.full.Load(), Failed: q.failed.Load()}
}

// OnStart implements sdk.SpanProcessor.
func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor. It never waits.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.full.Add(1)
	}
}

// ForceFlush implements sdk.SpanProcessor.
func (q *queue) ForceFlush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case q.flush <- done:
	case <-q.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown implements sdk.SpanProcessor: it exports what waits, until ctx ends.
func (q *queue) Shutdown(ctx context.Context) error {
	var err error
	q.once.Do(func() {
		err = q.ForceFlush(ctx)
		q.stop()
		<-q.ended
		q.failed.Add(uint64(len(q.spans)))
		err = errors.Join(err, q.exporter.Shutdown(ctx))
	})
	return err
}

// run exports batches until the queue is shut down: when one is full, or the first of its spans
// has waited for the delay.
func (q *queue) run() {
	defer close(q.ended)
	batch := make([]sdk.ReadOnlySpan, 0, q.config.Batch)
	due := time.NewTimer(q.config.Delay)
	defer due.Stop()
	export := func() {
		q.export(batch)
		clear(batch)
		batch = batch[:0]
	}
	for {
		select {
		case s := <-q.spans:
			if len(batch) == 0 {
				due.Reset(q.config.Delay)
			}
			if batch = append(batch, s); len(batch) == cap(batch) {
				export()
			}
		case <-due.C:
			export()
		case done := <-q.flush:
			for n := len(q.spans); n > 0 && q.stopping.Err() == nil; n-- {
				if batch = append(batch, <-q.spans); len(batch) == cap(batch) {
					export()
				}
			}
			export()
			close(done)
		case <-q.stopping.Done():
			q.failed.Add(uint64(len(batch)))
			return
		}
	}
}

// export exports a batch, or drops it. It logs the first failure and the end of failures.
func (q *queue) export(batch []sdk.ReadOnlySpan) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(q.stopping, q.config.GiveUp)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	dropped := len(batch)
	if part, ok := errors.AsType[rejected](err); ok {
		dropped = min(part.spans, dropped)
	} else if err == nil {
		dropped = 0
	}
	q.exported.Add(uint64(len(batch) - dropped))
	q.failed.Add(uint64(dropped))
	switch {
	case err != nil && !q.failing:
		q.log.Warn("exporting spans failed; spans are dropped until it works", slog.String("url", q.config.Shown()), slog.Any("err", err))
	case err == nil && q.failing:
		q.log.Info("exporting spans works again", slog.String("url", q.config.Shown()))
	}
	q.failing = err != nil
}
