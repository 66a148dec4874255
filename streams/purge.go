package streams

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// PurgeUpTo removes the messages of a stream on the subjects that a pattern with wildcards
// matches, up to a position.
//
// The pattern must not be ">" alone: for that and for none the server cuts its first files off, and
// version 2.15.3 loses later messages where single ones are deleted from the same stream. It removes
// messages by their subjects one by one.
func PurgeUpTo(ctx context.Context, stream jetstream.Stream, subjects string, last uint64) error {
	return stream.Purge(ctx, jetstream.WithPurgeSubject(subjects), jetstream.WithPurgeSequence(last+1)) //nolint:forbidigo // with subjects
}
