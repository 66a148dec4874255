package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// What the server answers when it has no room (nats-server, errors.json).
var limitCodes = []jetstream.ErrorCode{
	10002, // JSAccountResourcesExceededErr
	10023, // JSInsufficientResourcesErr
	10028, // JSMemoryResourcesExceededErr
	10047, // JSStorageResourcesExceededErr
}

// unavailable wraps err, a failure of NATS, as what the caller may know of it.
func unavailable(err error, doing string) error {
	err = fmt.Errorf("%s: %w", doing, err)
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(limitCodes, refused.ErrorCode) {
		return domain.Because(err, domain.Unavailable, "log_full",
			"the event log has reached a storage limit of the NATS server; an operator has to raise it or free space")
	}
	return domain.Because(err, domain.Unavailable, "event_log_unavailable", "the event log can't be reached just now; try again")
}

// room is what has to be left of a storage limit: the largest event, and the same
// for the index.
const room = 2 << 20

// CheckWritable proves that an event would be stored now: the log has a leader, it
// is whole, there is room, the disk takes a write, and no stream is missing of those
// that Require has noted.
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
	// The leader of the log refuses this append, so it adds nothing.
	msg := &nats.Msg{Subject: logPrefix + "none.none"}
	_, err := s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(math.MaxUint64), jetstream.WithRetryAttempts(0))
	if !streams.IsConflict(err) {
		return unavailable(errors.Join(errors.New("the log did not refuse an append that follows nothing"), err), "prove the log")
	}
	if _, err := s.js.Publish(ctx, s.canary, nil, jetstream.WithRetryAttempts(0)); err != nil {
		return unavailable(err, "write canary")
	}
	return nil
}

// Require notes the streams that the service can't do without.
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
		"streams are missing on the NATS server: %s; restore them, or restart the service to have them made again", strings.Join(missing, ", "))
}

// checkRoom refuses an account that has no room left for a large event.
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
				"the NATS account has used %d of %d bytes of its storage; an operator has to raise the limit or free space", tier.Store, limit)
		}
	}
	return nil
}
