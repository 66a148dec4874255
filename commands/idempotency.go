package commands

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// idempotency makes the repetitions of one change return the outcome of the first. Without
// an idempotency key its methods do nothing.
type idempotency struct {
	*Service
	by   Caller
	id   domain.ID
	on   Condition
	meta *domain.Metadata // of the event; gets the command id of the first request
}

// repeated returns the outcome of an earlier request with the same idempotency key: that of
// the event with its command id, or that of the last event if it changed nothing. If the
// first request has neither, this one continues under its command id, so that only one of
// them can succeed.
func (o idempotency) repeated(ctx context.Context) (Outcome, error) {
	if o.on.IdempotencyKey == "" {
		return Outcome{}, nil
	}
	claim, there, err := o.Events.Claimed(ctx, o.claimKey())
	if err != nil || !there {
		return Outcome{}, err
	}
	if err := o.adopt(claim); err != nil {
		return Outcome{}, err
	}
	if claim.Unchanged {
		c, err := o.next(ctx, o.id, claim.After-1)
		if err != nil {
			return Outcome{}, err
		}
		return replayed(c)
	}
	for after := claim.After; ; {
		c, err := o.next(ctx, o.id, after)
		if err != nil || c.Position == 0 {
			return Outcome{}, err
		}
		if c.Meta.CommandID == claim.CommandID {
			out, err := replayed(c)
			if before, failed := o.next(ctx, o.id, max(after, 1)-1); failed == nil && before.Position == after {
				out.Removed = domain.RemovedEndpoints(domain.Evolve(domain.Integration{}, before.Event).Configuration, out.Integration.Configuration)
			}
			return out, err
		}
		after = c.Position
	}
}

// next returns the first event of an integration after a position, as the leader of the log
// has it: an event that a follower lacks would be made again.
func (o idempotency) next(ctx context.Context, id domain.ID, after uint64) (eventstore.Commit, error) {
	if o.Events.Replicated() {
		return o.Events.NextFromLeader(ctx, o.by.Workspace, id, after)
	}
	return o.Events.Next(ctx, o.by.Workspace, id, after)
}

func replayed(c eventstore.Commit) (Outcome, error) {
	return Outcome{Integration: domain.Evolve(domain.Integration{}, c.Event), Position: c.Position, Replayed: true}, c.Err
}

// unlessRepeated returns refusal, unless a concurrent request with the same key made the change
// that caused the refusal.
func (o idempotency) unlessRepeated(ctx context.Context, refusal error) (Outcome, error) {
	if out, err := o.repeated(ctx); err != nil || out.Replayed {
		return out, err
	}
	return Outcome{}, refusal
}

// asRecorded returns the recorded outcome. Concurrent repetitions decide separately under
// one command id, and one of them is recorded.
func (o idempotency) asRecorded(ctx context.Context, out Outcome) Outcome {
	if o.on.IdempotencyKey == "" {
		return out
	}
	c, err := o.next(ctx, out.Integration.ID, out.Position-1)
	if err != nil || c.Position != out.Position || c.Err != nil {
		return out // the change is made; a repetition reads it back
	}
	recorded := domain.Evolve(domain.Integration{}, c.Event)
	if recorded.UpdatedAt.Equal(out.Integration.UpdatedAt) && len(superseded(out.Integration, recorded)) == 0 {
		return out
	}
	return Outcome{Integration: recorded, Position: out.Position, Removed: out.Removed, Replayed: true}
}

// claim binds the idempotency key to this request, before its event is appended or when it
// has none. If the key is already bound to a request with a known outcome, it returns that
// outcome.
func (o idempotency) claim(ctx context.Context, after uint64, unchanged bool) (Outcome, error) {
	if o.on.IdempotencyKey == "" {
		return Outcome{}, nil
	}
	request, err := o.fingerprint()
	if err != nil {
		return Outcome{}, err
	}
	claim, err := o.Events.Claim(ctx, o.claimKey(), eventstore.Claim{CommandID: o.meta.CommandID, Request: request, After: after, Unchanged: unchanged})
	if err != nil {
		return Outcome{}, err
	}
	if claim.After < after || claim.Unchanged && claim.CommandID != o.meta.CommandID {
		return o.repeated(ctx)
	}
	return Outcome{}, o.adopt(claim)
}

// adopt lets this request continue under an existing claim.
func (o idempotency) adopt(claim eventstore.Claim) error {
	request, err := o.fingerprint()
	if err != nil {
		return err
	}
	if claim.Request != request && claim.Request != o.on.Request { // the latter: claims of earlier versions, for a day
		return domain.Errorf(domain.Invalid, "idempotency_key_reused", "this Idempotency-Key was used for another request")
	}
	o.meta.CommandID = claim.CommandID
	return nil
}

// fingerprint returns what is stored to recognise a request. The request may contain a
// secret, and a plain hash would confirm a guess, so this is an HMAC with a key of the vault.
func (o idempotency) fingerprint() (string, error) {
	key, err := o.Vault.DeriveKey("idempotency")
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(o.on.Request))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// claimKey separates the keys of callers.
func (o idempotency) claimKey() string {
	h := sha256.Sum256([]byte(string(o.by.Workspace) + "\x00" + o.by.Actor + "\x00" + o.on.IdempotencyKey))
	return hex.EncodeToString(h[:])
}
