package ratelimit

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	subject     = "ratelimits.taken"
	reportEvery = 100 * time.Millisecond
	maxReport   = 1000 // uses in one message
)

// report is what a process publishes.
type report struct {
	From string `json:"from"`
	Uses []Use  `json:"uses"`
}

// Share reports to other processes on a NATS server what is taken here, and takes what they take, until ctx
// ends. Reports that are lost, because NATS is away, are not repeated: they are late then.
func (l *Limiter) Share(ctx context.Context, nc *nats.Conn, self string, now func() time.Time, log *slog.Logger) error {
	s, err := nc.Subscribe(subject, func(msg *nats.Msg) {
		var r report
		if err := json.Unmarshal(msg.Data, &r); err == nil && r.From != self {
			l.Spend(r.Uses[:min(len(r.Uses), maxReport)], now())
		}
	})
	if err != nil {
		return err
	}
	defer s.Unsubscribe() //nolint:errcheck // the connection is closed then
	every := time.NewTicker(reportEvery)
	defer every.Stop()
	failing := false
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		var failed error
		for uses := range slices.Chunk(l.Uses(), maxReport) {
			data, err := json.Marshal(report{self, uses})
			if err == nil && nc.IsConnected() { // else it would wait in a buffer, and count later
				err = nc.Publish(subject, data)
			}
			if err != nil {
				failed = err
			}
		}
		if failed != nil && !failing {
			log.WarnContext(ctx, "rate limits are not shared with other processes", slog.Any("err", failed))
		}
		failing = failed != nil
	}
}
