package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

const (
	pruneLease     = "prune.integrations"
	pruneMark      = "integrations.prune" // in the metadata of the stream, while its limits are those of a Prune
	unlimitTimeout = 10 * time.Minute     // the server may be removing events
)

// limit sets limits of the log, with which it refuses events and removes none of those within them.
func (s *Store) limit(ctx context.Context, within time.Duration, change func(*jetstream.StreamConfig)) error {
	return s.configure(ctx, within, func(c *jetstream.StreamConfig) {
		c.Discard = jetstream.DiscardNew
		if c.Metadata == nil {
			c.Metadata = map[string]string{}
		}
		c.Metadata[pruneMark] = "running"
		change(c)
	})
}

// unlimit takes back the limits of a Prune.
func (s *Store) unlimit(ctx context.Context) error {
	return s.configure(ctx, unlimitTimeout, func(c *jetstream.StreamConfig) {
		c.MaxMsgs, c.MaxMsgsPerSubject, c.DiscardNewPerSubject, c.Discard = -1, -1, false, jetstream.DiscardOld
		delete(c.Metadata, pruneMark)
	})
}

// isLimited reports whether the limits of the log are those of a Prune.
func isLimited(c jetstream.StreamConfig) bool { return c.Metadata[pruneMark] != "" }

// configure changes the configuration of the log.
func (s *Store) configure(ctx context.Context, within time.Duration, change func(*jetstream.StreamConfig)) error {
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	c := info.Config
	change(&c)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if _, err := s.js.UpdateStream(ctx, c); err != nil {
		return domain.Wrap(fmt.Errorf("configure the log: %w", err), domain.Unavailable, "log_not_configured",
			"the limits of the stream "+logName+" can't be changed: the user at NATS needs the right to update it, and it must have a leader")
	}
	return nil
}

// endInterrupted takes back the limits of a Prune that was interrupted.
func (s *Store) endInterrupted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := s.leases.Get(ctx, pruneLease)
	switch {
	case err == nil: // it is running
		return nil
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return unavailable(err, "read the lease of the removal of archived events")
	}
	return s.unlimit(ctx)
}

// checkLimits refuses a log with limits that could drop events. Those of a Prune don't; when it was
// interrupted, they are taken back.
func (s *Store) checkLimits(ctx context.Context) error {
	c := s.log.CachedInfo().Config
	if !isLimited(c) {
		return checkLog(c)
	}
	return s.endInterrupted(ctx)
}
