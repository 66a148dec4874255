package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/streams"
)

// Head returns the position of the last event in the log, 0 when it is empty.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	head, err := s.head(ctx, logName)
	s.highest.observe(s.Lineage().ID(), head)
	return head, err
}

// ProbeHead returns the position of the last probe result, 0 when there is none.
func (s *Store) ProbeHead(ctx context.Context) (uint64, error) {
	return s.head(ctx, probeName)
}

func (s *Store) head(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	info, err := streams.Info(ctx, s.js, stream)
	if err != nil {
		return 0, unavailable(err, "read head")
	}
	return info.State.LastSeq, nil
}

// Closed reports whether the connection to NATS is closed for good: nothing works again.
func (s *Store) Closed() bool { return s.nc.IsClosed() }
