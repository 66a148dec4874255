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

// repeated returns the outcome of an earlier request with the same idempotency key: that of
// the event with its command id, or that of the last event if it changed nothing. If the
// first request has neither, this one continues under its command id, so that only one of
// them can succeed.
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

// unlessRepeated returns refusal, unless a concurrent request with the same key made the change
// that caused the refusal.
func (s *Service) unlessRepeated(ctx context.Context, by Caller, id domain.ID, on Condition, meta *domain.Metadata, refusal error) (Outcome, error) {
	if out, err := s.repeated(ctx, by, id, on, meta); err != nil || out.Replayed {
		return out, err
	}
	return Outcome{}, refusal
}

// asRecorded returns the recorded outcome. Concurrent repetitions decide separately under
// one command id, and one of them is recorded.
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

// claim binds the idempotency key to this request, before its event is appended or when it
// has none. If the key is already bound to a request with a known outcome, it returns that
// outcome.
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

// adopt lets this request continue under an existing claim.
func (s *Service) adopt(claim eventstore.Claim, on Condition, meta *domain.Metadata) error {
	request, err := s.fingerprint(on)
	if err != nil {
		return err
	}
	if claim.Request != request && claim.Request != on.Request { // the latter: claims of earlier versions, for a day
		return domain.Errorf(domain.Invalid, "idempotency_key_reused", "this Idempotency-Key was used for another request")
	}
	meta.CommandID = claim.CommandID
	return nil
}

// fingerprint returns what is stored to recognise a request. The request may contain a
// secret, and a plain hash would confirm a guess, so this is an HMAC with a key of the vault.
func (s *Service) fingerprint(on Condition) (string, error) {
	key, err := s.Vault.DeriveKey("idempotency")
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(on.Request))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// claimKey separates the keys of callers.
func claimKey(by Caller, on Condition) string {
	h := sha256.Sum256([]byte(string(by.Workspace) + "\x00" + by.Actor + "\x00" + on.IdempotencyKey))
	return hex.EncodeToString(h[:])
}
