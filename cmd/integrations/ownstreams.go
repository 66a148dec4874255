package main

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// ownStreams returns the names of all streams of the service; those of buckets start
// with KV_.
func ownStreams() []string {
	return []string{
		"ACCESS", "APPROVALS", "CALLS", "CALL_BODIES", "CANARY", "DEAD_LETTERS", "INTEGRATIONS", "KV_API_KEYS", "KV_API_KEY_USE", "KV_APPROVAL_REQUESTS", "KV_AUTHORIZATION_ATTEMPTS", "KV_CONSOLE_SESSIONS", "KV_IDEMPOTENCY", "KV_LEASES", "KV_LOG_STATE",
		"KV_SUBSCRIBERS", "KV_WEBHOOK_DESTINATIONS", "PROBES", "PROBE_WORK", "SECRETS", "TREES", "USAGE", "WEBHOOKS", "WEBHOOK_DEAD", "WEBHOOK_DELIVERIES",
	}
}

// stopCompressing turns off compression in streams that an earlier version created.
func stopCompressing(ctx context.Context, nc *nats.Conn, log *slog.Logger) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	changed, err := streams.StopCompressing(ctx, js, ownStreams())
	if len(changed) > 0 {
		log.InfoContext(ctx, "streams are no longer compressed", slog.Any("streams", changed))
	}
	if err != nil {
		log.WarnContext(ctx, "streams are still compressed, which a NATS cluster may lose when its servers are killed: "+
			"turn it off with `nats stream edit NAME --compression none`, by a user with the rights for it", slog.Any("err", err))
	}
	return nil
}
