package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// restoringName is a stream that exists while a backup is restored. A killed restore
// leaves some of the streams, which must not be taken for all of them.
const restoringName = "RESTORING"

// ErrRestoring means that a restore is running, or was interrupted.
var ErrRestoring = errors.New("a restore of a backup is running, or was interrupted")

// BeginRestore records that a restore is running, until EndRestore. It returns
// ErrRestoring when one already is, unless again is true.
func BeginRestore(ctx context.Context, nc *nats.Conn, replicas int, again bool) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("begin a restore: %w", err)
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: restoringName, Subjects: []string{"restoring"}, MaxMsgs: 1, Replicas: max(replicas, 1),
		Metadata: map[string]string{"by": rand.Text()}, // so that one of two concurrent restores is refused
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		if again {
			return nil
		}
		return ErrRestoring
	}
	if err != nil {
		return fmt.Errorf("begin a restore: %w", err)
	}
	return nil
}

// EndRestore records that the restore is complete, or was rolled back.
func EndRestore(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err == nil {
		err = js.DeleteStream(ctx, restoringName)
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("end a restore: %w", err)
	}
	return nil
}

// CheckRestored refuses a server with an unfinished restore. The error is Unavailable with
// the code restore_unfinished.
func CheckRestored(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.Stream(ctx, restoringName)
	}
	switch {
	case err == nil:
		return domain.Wrap(ErrRestoring, domain.Unavailable, "restore_unfinished",
			"a restore of a backup is running, or was interrupted; wait for it, or run `integrations restore FILE --again`")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil
	default:
		return fmt.Errorf("look for a restore: %w", err)
	}
}
