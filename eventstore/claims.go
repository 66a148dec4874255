package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// A Claim ties an idempotency key to the request that first came with it. The
// answer itself is not kept: the event that the request caused is the answer, or
// the one that was the last when it caused none.
type Claim struct {
	CommandID string `json:"command_id"`
	Request   string `json:"request"`             // a hash of the request
	After     uint64 `json:"after"`               // the position of the integration before it
	Unchanged bool   `json:"unchanged,omitempty"` // the request changed nothing: what is at After is the answer
}

// Claimed returns the claim under key, and whether there is one. Key is made of
// letters, digits, hyphens and underscores.
func (s *Store) Claimed(ctx context.Context, key string) (claim Claim, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	entry, err := s.claims.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Claim{}, false, nil
	case err != nil:
		return Claim{}, false, unavailable(err, "read idempotency key")
	}
	if err := json.Unmarshal(entry.Value(), &claim); err != nil {
		return Claim{}, false, fmt.Errorf("read idempotency key: %w", err)
	}
	return claim, true, nil
}

// Claim stores c under key for 24 hours, unless another claim is there already.
// It returns the one that is there after that.
func (s *Store) Claim(ctx context.Context, key string, c Claim) (Claim, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return Claim{}, fmt.Errorf("claim idempotency key: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.claims.Create(bounded, key, data)
	switch {
	case err == nil:
		return c, nil
	case !errors.Is(err, jetstream.ErrKeyExists):
		return Claim{}, unavailable(err, "claim idempotency key")
	}
	// A follower may not have it yet, and what is not there would look like a claim of
	// another request.
	msg, err := s.lastFromLeader(ctx, "KV_"+claimBucket, "$KV."+claimBucket+"."+key)
	if err != nil {
		return Claim{}, err
	}
	if msg == nil { // its time ended in between
		return Claim{}, unavailable(errClaimGone, "claim idempotency key")
	}
	var first Claim
	if err := json.Unmarshal(msg.Data, &first); err != nil {
		return Claim{}, fmt.Errorf("read idempotency key: %w", err)
	}
	return first, nil
}

var errClaimGone = errors.New("the claim is gone")
