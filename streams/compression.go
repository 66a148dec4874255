package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StopCompressing switches off compression for the named streams, because a NATS
// cluster may lose a compressed stream when its servers are killed. Data that is
// already compressed stays so. It returns the names of the streams that it changed,
// and an error that names those that it could not change.
func StopCompressing(ctx context.Context, js jetstream.JetStream, names []string) (changed []string, err error) {
	for _, name := range names {
		stream, failed := js.Stream(ctx, name)
		if errors.Is(failed, jetstream.ErrStreamNotFound) {
			continue
		}
		if failed == nil && stream.CachedInfo().Config.Compression == jetstream.NoCompression {
			continue
		}
		if failed == nil {
			failed = stopCompressing(ctx, js, stream.CachedInfo().Config)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("stream %s: %w", name, failed))
			continue
		}
		changed = append(changed, name)
	}
	return changed, err
}

func stopCompressing(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a user without the permission gets no reply
	defer cancel()
	cfg.Compression = jetstream.NoCompression
	_, err := js.UpdateStream(ctx, cfg)
	return err
}
