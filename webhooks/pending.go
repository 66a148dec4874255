package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// read returns the message at a sequence, and whether it is still there.
func (d *deliverer) read(ctx context.Context, sequence uint64) (m message, found bool, err error) {
	raw, err := d.pending.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return m, false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw.Data, &m)
	}
	return m, err == nil, err
}

func (d *deliverer) remove(ctx context.Context, sequence uint64) error {
	return streams.Delete(ctx, d.js, d.pending, sequence)
}

// insist does something again and again until it succeeds, and reports whether
// it did before ctx ended. What was begun is given the time to end.
func (d *deliverer) insist(ctx context.Context, doing string, do func(context.Context) error) bool {
	for {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
		err := do(once)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.config.Log.WarnContext(ctx, "could not do what webhooks need; trying again", slog.String("what", doing), slog.Any("err", err))
		sleep(ctx, time.Second)
	}
}

// lasting returns a context that ends some time after ctx does.
func lasting(ctx context.Context, longer time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(later, longer)
		cancel()
	})
	return later, func() { stop(); cancel() }
}
