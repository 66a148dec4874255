package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed677028b5/integrations/internal/tracing"
)

// Process is what spans are of. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES change and add to it.
type Process struct {
	Name, Version string
	Instance      string // unique, and another after a restart
	Roles         []string
}

// Exporter exports the spans of a process. A nil Exporter exports none, and has no Tracer.
type Exporter struct {
	config   Config
	queue    *queue
	provider *sdk.TracerProvider
}

// shutdownTime bounds how long the end of a process waits for the collector.
const shutdownTime = 3 * time.Second

// Open returns an Exporter; nil for a nil Config.
func Open(ctx context.Context, c *Config, p Process, log *slog.Logger) (*Exporter, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // traces are off
	}
	host, _ := os.Hostname()
	of, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", p.Name), attribute.String("service.version", p.Version), attribute.String("service.instance.id", p.Instance),
		attribute.String("host.name", host), attribute.StringSlice("integrations.roles", p.Roles),
	), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing", slog.Any("err", err)) }))
	for _, problem := range c.Problems {
		log.WarnContext(ctx, "a variable of OpenTelemetry has no effect", slog.String("problem", problem))
	}
	e := &Exporter{config: *c, queue: newQueue(*c, otlptrace.NewUnstarted(newClient(*c)), log)}
	e.provider = sdk.NewTracerProvider(sdk.WithResource(of), sdk.WithSpanProcessor(e.queue))
	log.InfoContext(ctx, "exporting spans", slog.String("url", c.Shown()))
	return e, nil
}

// Tracer returns what begins spans.
func (e *Exporter) Tracer() tracing.Tracer {
	if e == nil {
		return tracing.Tracer{}
	}
	return tracing.New(e.provider.Tracer(tracing.Name))
}

// URL returns where spans go, "" for nowhere.
func (e *Exporter) URL() string {
	if e == nil {
		return ""
	}
	return e.config.URL
}

// Counts returns how many spans were exported and dropped so far.
func (e *Exporter) Counts() Counts {
	if e == nil {
		return Counts{}
	}
	return e.queue.counts()
}

// Flush exports what waits.
func (e *Exporter) Flush(ctx context.Context) error { return e.provider.ForceFlush(ctx) }

// Close exports what waits, for at most 3 s.
func (e *Exporter) Close() {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	_ = e.provider.Shutdown(ctx) // what it could not export is lost with the process
}
