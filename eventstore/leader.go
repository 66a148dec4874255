package eventstore

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// info asks the leader of the log for its state.
func (s *Store) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	info, err := streams.Info(ctx, s.js, logName, opts...)
	if err != nil {
		return nil, unavailable(err, "read the state of the log")
	}
	return info, nil
}

// lastFromLeader returns the last message on a subject from the leader of its stream,
// nil when there is none.
func (s *Store) lastFromLeader(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := streams.LastFromLeader(ctx, s.nc, stream, subject)
	if err != nil {
		return nil, unavailable(err, "load from leader")
	}
	return msg, nil
}
