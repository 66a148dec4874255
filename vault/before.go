package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// Before calls visit for every secret that was stored before a time and before the call, the oldest
// first, and stops at the first error. It reads no values, so it is much faster than Each. A replica
// that is behind may lack some.
func (v *Vault) Before(ctx context.Context, at time.Time, visit func(Stored) error) error {
	start, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	consumer, err := v.js.CreateConsumer(start, streamName, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return unavailable(err, "read secrets")
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.timeout)
		defer cancel()
		_ = v.js.DeleteConsumer(end, streamName, consumer.CachedInfo().Name) // otherwise it expires
	}()
	const atOnce = 256
	for left := int(consumer.CachedInfo().NumPending); left > 0; { //nolint:gosec // a count fits
		batch, err := consumer.FetchNoWait(min(atOnce, left))
		if err != nil {
			return unavailable(err, "read secrets")
		}
		got := 0
		for msg := range batch.Messages() {
			got++
			left--
			meta, err := msg.Metadata()
			if err != nil {
				return fmt.Errorf("read secrets: %w", err)
			}
			if !meta.Timestamp.Before(at) {
				return nil
			}
			parts := strings.Split(msg.Subject(), ".")
			if len(parts) != 4 {
				continue
			}
			if err := visit(Stored{
				Owner: domain.Owner{Workspace: domain.Workspace(parts[1]), ID: domain.ID(parts[2])}, ID: parts[3], At: meta.Timestamp,
				sequence: meta.Sequence.Stream, header: msg.Headers(),
			}); err != nil {
				return err
			}
		}
		if batch.Error() != nil {
			return unavailable(batch.Error(), "read secrets")
		}
		if got == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
