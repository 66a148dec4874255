package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

const (
	pruneLease = "prune.integrations"
	pruneMark  = "integrations.prune" // in the metadata of the stream, while its limits are those of a Prune

	// For the server's answer to one update: it may have been sent to one that was killed. Only one that removes
	// events takes long.
	updateWait = 10 * time.Second
	removeWait = 30 * time.Second
	prunePoll  = 100 * time.Millisecond

	overlapCode = 10065 // JSStreamSubjectOverlapErr
	storeCode   = 10077 // JSStreamStoreFailedF
	sizeCode    = 10054 // JSStreamMessageExceedsMaximumErr
)

// refuseAppends has the log refuse each event, by its size, and also while the log has that many messages
// or more. It removes none. The size is what holds when another owner has changed the number of messages since it was read.
func refuseAppends(c *jetstream.StreamConfig, messages uint64) {
	c.MaxMsgs, c.Discard = int64(max(messages, 1)), jetstream.DiscardNew //nolint:gosec // a count of events fits
	c.MaxMsgSize = 1
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[pruneMark] = "running"
}

// update updates the log. An update whose answer is lost may have been made, which the configuration shows.
func (s *Store) update(ctx context.Context, c jetstream.StreamConfig) error {
	wait := updateWait
	if c.MaxMsgsPerSubject > 0 {
		wait = removeWait
	}
	waiting, cancel := s.answering(ctx, wait)
	defer cancel()
	_, err := s.js.UpdateStream(waiting, c)
	if _, answered := errors.AsType[*jetstream.APIError](err); err == nil || answered || ctx.Err() != nil {
		return notConfigured(err)
	}
	info, failed := s.info(ctx)
	if failed != nil {
		return notConfigured(errors.Join(err, failed))
	}
	now := info.Config
	if now.MaxMsgs == c.MaxMsgs && now.MaxMsgSize == c.MaxMsgSize && now.MaxMsgsPerSubject == c.MaxMsgsPerSubject && now.Discard == c.Discard && slices.Equal(now.Subjects, c.Subjects) {
		return nil
	}
	return notConfigured(err)
}

// answering returns a context for a request to JetStream. It ends after a while, and once the connection was made
// again: what was sent before that may have been sent to a server that is gone.
func (s *Store) answering(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	before := s.nc.Stats().Reconnects
	go func() {
		for streams.Wait(ctx, prunePoll) {
			if s.nc.Stats().Reconnects != before {
				cancel()
			}
		}
	}()
	return ctx, cancel
}

// errNotConfigured means that the limits of the log are as they were.
var errNotConfigured = errors.New("configure the log")

func notConfigured(err error) error {
	if err == nil {
		return nil
	}
	return domain.Wrap(fmt.Errorf("%w: %w", errNotConfigured, err), domain.Unavailable, "log_not_configured",
		"the limits of the stream "+logName+" can't be changed: the user at NATS needs the right to update it, it must have a leader, and its disk must have room")
}

// CheckPrunable returns an error with the code log_not_configured if the user at NATS may not change the limits
// of the log, which Prune does.
func (s *Store) CheckPrunable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	subject := "$JS.API.STREAM.UPDATE." + logName
	before := s.nc.LastError()
	err := s.nc.PublishRequest(subject, s.nc.NewInbox(), nil) // it changes nothing: there is no configuration in it
	if err == nil {
		err = s.nc.FlushWithContext(ctx) // a missing right is reported before
	}
	if err != nil {
		return unavailable(err, "find out who may change the limits of the log")
	}
	if err := s.nc.LastError(); err != before && errors.Is(err, nats.ErrPermissionViolation) && //nolint:errorlint // whether it is a new one
		strings.Contains(err.Error(), `"`+subject+`"`) {
		return domain.Wrap(fmt.Errorf("%w: %w", errNotConfigured, err), domain.Unavailable, "log_not_configured",
			"only a user at NATS who may update the stream "+logName+" can run integrations prune, or end one that was interrupted: with deploy/nats.conf, run it with --nats-url nats://operator:PASSWORD@HOST:4222")
	}
	return nil
}

// refusedByLimits reports whether the log has refused an event because of the limits of a Prune: it has no others.
func refusedByLimits(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (refused.ErrorCode == sizeCode || refused.ErrorCode == storeCode && strings.Contains(refused.Description, "maximum messages"))
}

// unlimit takes back the limits of a Prune, as their owner.
func (s *Store) unlimit(ctx context.Context, token string) error {
	return s.limitAs(ctx, token, func(c *jetstream.StreamConfig) {
		c.MaxMsgs, c.MaxMsgSize, c.MaxMsgsPerSubject, c.DiscardNewPerSubject, c.Discard = -1, -1, -1, false, jetstream.DiscardOld
		delete(c.Metadata, pruneMark)
	})
}

// isLimited reports whether the limits of the log are those of a Prune.
func isLimited(c jetstream.StreamConfig) bool { return c.Metadata[pruneMark] != "" }

// endInterrupted is takeBack unless a Prune is running.
func (s *Store) endInterrupted(ctx context.Context) error {
	running, err := s.Held(ctx, pruneLease)
	if err != nil || running {
		return err
	}
	return s.takeBack(ctx)
}

// takeBack takes back the limits of a Prune that failed, or was interrupted. An update of it that still
// arrives is refused.
func (s *Store) takeBack(ctx context.Context) error {
	info, err := s.info(ctx)
	if err != nil || !isLimited(info.Config) {
		return err
	}
	token, err := s.own(ctx)
	if err == nil {
		err = s.unlimit(ctx, token)
	}
	if errors.Is(err, ErrPruneInterrupted) { // by another process, which takes them back or removes events
		return nil
	}
	return err
}

// checkLimits refuses a log with limits that could drop events. Those of a Prune don't; when it was
// interrupted, they are taken back. A log where that fails can be read, and the guard tries it again.
func (s *Store) checkLimits(ctx context.Context) error {
	c := s.log.CachedInfo().Config
	if !isLimited(c) {
		return checkLog(c)
	}
	err := s.endInterrupted(ctx)
	if errors.Is(err, errNotConfigured) {
		return nil
	}
	return err
}
