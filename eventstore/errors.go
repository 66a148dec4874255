package eventstore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// ErrConflict is returned by Append when another append came first.
var ErrConflict = errors.New("eventstore: another append came first")

// errBehind means that a replica lacks messages that the leader has.
var errBehind = errors.New("the replica is behind its leader")

// The errors of a server that is out of space (nats-server, errors.json).
var limitCodes = []jetstream.ErrorCode{
	10002, // JSAccountResourcesExceededErr
	10023, // JSInsufficientResourcesErr
	10028, // JSMemoryResourcesExceededErr
	10047, // JSStorageResourcesExceededErr
}

// unavailable wraps err, a failure of NATS, with a message for the caller.
func unavailable(err error, doing string) error {
	err = fmt.Errorf("%s: %w", doing, err)
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(limitCodes, refused.ErrorCode) {
		return domain.Wrap(err, domain.Unavailable, "log_full",
			"the event log has reached a storage limit of the NATS server; an operator must raise it or free space")
	}
	return domain.Wrap(err, domain.Unavailable, "event_log_unavailable", "the event log is unavailable; try again")
}
