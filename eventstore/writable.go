package eventstore

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// room is how much of a storage limit must be left: the largest event, and as much again
// for the index.
const room = 2 << 20

// CheckWritable verifies that an event could be stored now: the log has a leader, it is
// whole, there is space, the disk can be written, and every stream given to Require
// exists.
func (s *Store) CheckWritable(ctx context.Context) error {
	if err := s.Intact(); err != nil {
		return err
	}
	if err := s.checkRequired(ctx); err != nil {
		return err
	}
	if err := s.checkRoom(ctx); err != nil {
		return err
	}
	// The leader of the log refuses this append, so it stores nothing.
	msg := &nats.Msg{Subject: logPrefix + "none.none"}
	_, err := s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(math.MaxUint64), jetstream.WithRetryAttempts(0))
	if !streams.IsConflict(err) && !refusedByLimits(err) { // while archived events are removed, reads go on
		return unavailable(errors.Join(errors.New("the log accepted an append after a position that doesn't exist"), err), "prove the log")
	}
	if _, err := s.js.Publish(ctx, s.canary, nil, jetstream.WithRetryAttempts(0)); err != nil {
		return unavailable(err, "write canary")
	}
	return nil
}

// Require sets the streams that the service can't run without.
func (s *Store) Require(names []string) { s.required = names }

func (s *Store) checkRequired(ctx context.Context) error {
	if len(s.required) == 0 {
		return nil
	}
	there := map[string]bool{}
	list := s.js.StreamNames(ctx)
	for name := range list.Name() {
		there[name] = true
	}
	if err := list.Err(); err != nil {
		return unavailable(err, "list streams")
	}
	missing := slices.DeleteFunc(slices.Clone(s.required), func(name string) bool { return there[name] })
	if len(missing) == 0 {
		return nil
	}
	return domain.Errorf(domain.Unavailable, "streams_missing",
		"streams are missing on the NATS server: %s; restore them, or restart the service to create them again", strings.Join(missing, ", "))
}

// checkRoom refuses an account without space for a large event.
func (s *Store) checkRoom(ctx context.Context) error {
	info, err := s.js.AccountInfo(ctx)
	if err != nil {
		return unavailable(err, "read the limits of the account")
	}
	tiers := []jetstream.Tier{info.Tier}
	for _, tier := range info.Tiers {
		tiers = append(tiers, tier)
	}
	for _, tier := range tiers {
		if limit := tier.Limits.MaxStore; limit > 0 && tier.Store+room > uint64(limit) {
			return domain.Errorf(domain.Unavailable, "log_full",
				"the NATS account has used %d of %d bytes of its storage; an operator must raise the limit or free space", tier.Store, limit)
		}
	}
	return nil
}

// refuseChanges makes the store refuse changes with an error; nil accepts them again.
func (s *Store) refuseChanges(err error) {
	if err == nil {
		s.damage.Store(nil)
	} else {
		s.damage.Store(&err)
	}
}

// Intact returns why changes and destruction are refused, nil while the guard has
// found nothing missing.
func (s *Store) Intact() error {
	if err := s.damage.Load(); err != nil {
		return *err
	}
	return nil
}
