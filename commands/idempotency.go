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

// repeated answers a request that was made before under the same idempotency
// key: the event it caused is found in the log by its command id, or it is the
// one that was the last when the request changed nothing. When the first request
// came to neither, this one goes on under that command id, so that only one of
// them can ever succeed.
func (s *Service) repeated(ctx context.Context, by Caller, id domain.ID, on Condition, meta *domain.Metadata) (Outcome, error) {
	if on.IdempotencyKey == "" {
		return Outcome{}, nil
	}
	claim, there, err := s.Events.Claimed(ctx, claimKey(by, on))
	if err != nil || !there {
		return Outcome{}, err
	}
	if err := s.adopt(claim, on, meta); err != nil {
		return Outcome{}, err
	}
	if claim.Unchanged {
		c, err := s.Events.Next(ctx, by.Workspace, id, claim.After-1)
		if err != nil {
			return Outcome{}, err
		}
		return replayed(c)
	}
	for after := claim.After; ; {
		c, err := s.Events.Next(ctx, by.Workspace, id, after)
		if err != nil || c.Position == 0 {
			return Outcome{}, err
		}
		if c.Meta.CommandID == claim.CommandID {
			return replayed(c)
		}
		after = c.Position
	}
}

func replayed(c eventstore.Commit) (Outcome, error) {
	return Outcome{Integration: domain.Evolve(domain.Integration{}, c.Event), Position: c.Position, Replayed: true}, c.Err
}

// orRepeated refuses with refusal, unless what refuses the request is the very
// change that another request under the same key made meanwhile.
func (s *Service) orRepeated(ctx context.Context, by Caller, id domain.ID, on Condition, meta *domain.Metadata, refusal error) (Outcome, error) {
	if out, err := s.repeated(ctx, by, id, on, meta); err != nil || out.Replayed {
		return out, err
	}
	return Outcome{}, refusal
}

// asRecorded returns the outcome that is in the log. Repetitions that race each
// other decide apart under one command id, and one of them is recorded.
func (s *Service) asRecorded(ctx context.Context, by Caller, on Condition, out Outcome) Outcome {
	if on.IdempotencyKey == "" {
		return out
	}
	c, err := s.Events.Next(ctx, by.Workspace, out.Integration.ID, out.Position-1)
	if err != nil || c.Position != out.Position || c.Err != nil {
		return out // the change is made; a repetition reads it back
	}
	recorded := domain.Evolve(domain.Integration{}, c.Event)
	if recorded.UpdatedAt.Equal(out.Integration.UpdatedAt) && len(superseded(out.Integration, recorded)) == 0 {
		return out
	}
	return Outcome{Integration: recorded, Position: out.Position, Replayed: true}
}

// claim ties the idempotency key to this request, before anything is written
// after a position, or when nothing is to be. When the key was there first and
// what it came to is known, it returns that.
func (s *Service) claim(ctx context.Context, by Caller, id domain.ID, on Condition, meta *domain.Metadata, after uint64, unchanged bool) (Outcome, error) {
	if on.IdempotencyKey == "" {
		return Outcome{}, nil
	}
	request, err := s.fingerprint(on)
	if err != nil {
		return Outcome{}, err
	}
	claim, err := s.Events.Claim(ctx, claimKey(by, on), eventstore.Claim{CommandID: meta.CommandID, Request: request, After: after, Unchanged: unchanged})
	if err != nil {
		return Outcome{}, err
	}
	if claim.After < after || claim.Unchanged && claim.CommandID != meta.CommandID {
		return s.repeated(ctx, by, id, on, meta)
	}
	return Outcome{}, s.adopt(claim, on, meta)
}

// adopt makes this request one with the claim that was there first.
func (s *Service) adopt(claim eventstore.Claim, on Condition, meta *domain.Metadata) error {
	request, err := s.fingerprint(on)
	if err != nil {
		return err
	}
	if claim.Request != request && claim.Request != on.Request { // the latter as earlier versions stored it, for a day
		return domain.Errorf(domain.Invalid, "idempotency_key_reused", "this Idempotency-Key came with another request before")
	}
	meta.CommandID = claim.CommandID
	return nil
}

// fingerprint is what is stored of a request to know it again. The request may
// hold a secret, and a plain hash would tell who guesses it, so this one takes a
// key of the vault.
func (s *Service) fingerprint(on Condition) (string, error) {
	key, err := s.Vault.DeriveKey("idempotency")
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(on.Request))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// claimKey keeps the keys of callers apart.
func claimKey(by Caller, on Condition) string {
	h := sha256.Sum256([]byte(string(by.Workspace) + "\x00" + by.Actor + "\x00" + on.IdempotencyKey))
	return hex.EncodeToString(h[:])
}
