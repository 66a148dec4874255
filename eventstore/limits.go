package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

const (
	pruneLease = "prune.integrations"
	pruneMark  = "integrations.prune" // in the metadata of the stream, while its limits are those of a Prune

	tokenPrefix = "prune."         // of the subject of the log that names who may change its limits
	voidPrefix  = "PRUNE_VOID_"    // of the streams that take such a subject away
	voidFor     = 24 * time.Hour   // longer than any request is on its way
	updateWait  = 30 * time.Second // for the server's answer to one update
	overlapCode = 10065            // JSStreamSubjectOverlapErr
	takeOvers   = 5                // tries, while an update of the previous owner arrives again and again
)

// The limits of the log are changed by their owner only. JetStream has no condition for an update, and one
// that was sent may arrive after others have gone on. So each update has a subject of its sender in it, and
// the next owner gives that subject to another stream: from then on the server refuses the update,
// since the subjects of two streams must not overlap.

// errPruneInterrupted means that another process has become the owner.
var errPruneInterrupted = errors.New("the removal of archived events was interrupted; run it again")

// own becomes the owner of the limits, and has the log refuse appends. It returns the token of the owner.
func (s *Store) own(ctx context.Context) (string, error) {
	token := tokenPrefix + rand.Text()
	for range takeOvers {
		info, err := s.info(ctx)
		if err != nil {
			return "", err
		}
		c := info.Config
		earlier := slices.DeleteFunc(slices.Clone(c.Subjects), func(subject string) bool { return !strings.HasPrefix(subject, tokenPrefix) || subject == token })
		c.Subjects = append(slices.DeleteFunc(slices.Clone(c.Subjects), func(subject string) bool { return strings.HasPrefix(subject, tokenPrefix) }), token)
		refuseAppends(&c, info.State.Msgs)
		c.MaxMsgsPerSubject, c.DiscardNewPerSubject = -1, false
		if err := s.update(ctx, c); err != nil {
			return "", err
		}
		void := true
		for _, subject := range earlier {
			is, err := s.void(ctx, subject, c.Replicas)
			if err != nil {
				return "", err
			}
			void = void && is
		}
		if void {
			return token, s.dropVoid(ctx)
		}
	}
	return "", errPruneInterrupted
}

// void takes a token away from its owner. It reports false when the log has it again.
func (s *Store) void(ctx context.Context, token string, replicas int) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, updateWait)
	defer cancel()
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: voidPrefix + strings.TrimPrefix(token, tokenPrefix), Subjects: []string{token}, MaxMsgs: 1, Replicas: replicas,
	})
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == overlapCode {
		return false, nil
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		err = nil
	}
	if err != nil {
		return false, unavailable(err, "become the owner of the limits of the log")
	}
	return true, nil
}

// dropVoid deletes the streams of tokens that nobody can use any more.
func (s *Store) dropVoid(ctx context.Context) error {
	all := s.js.ListStreams(ctx)
	for info := range all.Info() {
		if strings.HasPrefix(info.Config.Name, voidPrefix) && info.TimeStamp.Sub(info.Created) > voidFor {
			if err := s.js.DeleteStream(ctx, info.Config.Name); err != nil {
				return unavailable(err, "delete "+info.Config.Name)
			}
		}
	}
	if err := all.Err(); err != nil {
		return unavailable(err, "list streams")
	}
	return nil
}

// refuseAppends has the log refuse each event while it has that many messages or more. It removes none.
func refuseAppends(c *jetstream.StreamConfig, messages uint64) {
	c.MaxMsgs, c.Discard = int64(max(messages, 1)), jetstream.DiscardNew //nolint:gosec // a count of events fits
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[pruneMark] = "running"
}

// limitAs changes the limits of the log as their owner. The error is errPruneInterrupted when another
// process has become that.
func (s *Store) limitAs(ctx context.Context, token string, change func(*jetstream.StreamConfig)) error {
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	c := info.Config
	if !slices.Contains(c.Subjects, token) {
		return errPruneInterrupted
	}
	change(&c)
	err = s.update(ctx, c)
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == overlapCode {
		return errPruneInterrupted
	}
	return err
}

// update updates the log. An update whose answer is lost may have been made, which the configuration shows.
func (s *Store) update(ctx context.Context, c jetstream.StreamConfig) error {
	waiting, cancel := context.WithTimeout(ctx, updateWait)
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
	if now.MaxMsgs == c.MaxMsgs && now.MaxMsgsPerSubject == c.MaxMsgsPerSubject && now.Discard == c.Discard && slices.Equal(now.Subjects, c.Subjects) {
		return nil
	}
	return notConfigured(err)
}

func notConfigured(err error) error {
	if err == nil {
		return nil
	}
	return domain.Wrap(fmt.Errorf("configure the log: %w", err), domain.Unavailable, "log_not_configured",
		"the limits of the stream "+logName+" can't be changed: the user at NATS needs the right to update it, and it must have a leader")
}

// unlimit takes back the limits of a Prune, as their owner.
func (s *Store) unlimit(ctx context.Context, token string) error {
	return s.limitAs(ctx, token, func(c *jetstream.StreamConfig) {
		c.MaxMsgs, c.MaxMsgsPerSubject, c.DiscardNewPerSubject, c.Discard = -1, -1, false, jetstream.DiscardOld
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
	if err != nil {
		return err
	}
	return s.unlimit(ctx, token)
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
