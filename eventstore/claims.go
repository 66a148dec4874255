package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// A Claim binds an idempotency key to the first request that used it. The response
// is not stored: it is derived from the event that the request caused, or from the
// last event before it if it changed nothing.
type Claim struct {
	CommandID string `json:"command_id"`
	Request   string `json:"request"`             // a hash of the request
	After     uint64 `json:"after"`               // the position of the integration before the request
	Unchanged bool   `json:"unchanged,omitempty"` // the request changed nothing: the event at After is the result
}

// Claimed returns the claim under key, if there is one, as the leader has it. Key consists of
// letters, digits, hyphens and underscores.
func (s *Store) Claimed(ctx context.Context, key string) (claim Claim, there bool, err error) {
	if s.Replicated() {
		msg, err := s.lastFromLeader(ctx, "KV_"+claimBucket, "$KV."+claimBucket+"."+key)
		if err != nil || msg == nil {
			return Claim{}, false, err
		}
		if err := json.Unmarshal(msg.Data, &claim); err != nil {
			return Claim{}, false, fmt.Errorf("read idempotency key: %w", err)
		}
		return claim, true, nil
	}
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

// Claim stores c under key for 24 hours unless the key is already claimed. It returns
// the claim that is stored then.
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
	// A follower may not have the claim yet; a missing one would look like the claim of
	// another request.
	msg, err := s.lastFromLeader(ctx, "KV_"+claimBucket, "$KV."+claimBucket+"."+key)
	if err != nil {
		return Claim{}, err
	}
	if msg == nil { // it expired in between
		return Claim{}, unavailable(errClaimGone, "claim idempotency key")
	}
	var first Claim
	if err := json.Unmarshal(msg.Data, &first); err != nil {
		return Claim{}, fmt.Errorf("read idempotency key: %w", err)
	}
	return first, nil
}

var errClaimGone = errors.New("the claim has expired")
