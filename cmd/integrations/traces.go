package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"

	"github.com/seed677028b5/integrations/internal/otlp"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// openTraces returns what exports the spans of this process, nil unless the environment turns
// traces on; and the log, whose records have the ids of the trace that they are made in.
func openTraces(ctx context.Context, roles []string, log *slog.Logger) (*otlp.Exporter, *slog.Logger, error) {
	config, err := otlp.FromEnvironment(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	e, err := otlp.Open(ctx, config, otlp.Process{Name: "integrations", Version: release, Instance: newID(), Roles: roles}, log)
	if e != nil {
		log = tracing.Logged(log)
	}
	return e, log, err
}

// collectorHostPort returns the address of the collector as host:port, none without one.
func collectorHostPort(e *otlp.Exporter) []string {
	u, err := url.Parse(e.URL())
	if err != nil || u.Host == "" {
		return nil
	}
	if u.Port() == "" {
		return []string{u.Host + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]}
	}
	return []string{u.Host}
}
