package commands

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/vault"
)

// A destroyed secret can't be restored, so the sweep needs evidence.
const (
	// SweepAfter is how old an unreferenced secret must be: older than any command takes,
	// and than it takes to notice that a log is the wrong one.
	SweepAfter = 24 * time.Hour

	// SweepAtMost is how many secrets one sweep destroys by itself. More of them suggest
	// a log that lost events, and need the consent of an operator.
	SweepAtMost = 20
)

// ErrTooMany means that a sweep found more secrets than it destroys by itself.
var ErrTooMany = domain.Errorf(domain.Conflict, "too_many_secrets",
	"more than %d of the stored secrets are not referenced by an event; list them with `integrations sweep`", SweepAtMost)

// Orphans calls visit for every secret that no live event references and that is too old
// for its event to be on its way.
func (s *Service) Orphans(ctx context.Context, visit func(vault.Stored) error) error {
	return s.Vault.Each(ctx, func(secret vault.Stored) error {
		if s.Now().Sub(secret.At) < SweepAfter || persons.Owns(secret.Owner.ID) {
			return nil
		}
		last, err := s.Events.LoadFromLeader(ctx, secret.Owner.Workspace, secret.Owner.ID)
		switch {
		case domain.KindOf(err) == domain.Unavailable:
			return err
		case err != nil: // the references of an unreadable event are unknown
			return nil
		}
		i := domain.Evolve(domain.Integration{}, last.Event)
		if authorizations.Owns(secret.ID) {
			if needed, err := s.needed(ctx, i, secret.ID); err != nil || needed {
				return err
			}
			return visit(secret)
		}
		if approvals.Owns(secret.ID) {
			if s.Approvals == nil {
				return nil
			}
			if needed, err := s.Approvals.Needs(ctx, i, secret.ID); err != nil || needed {
				return err
			}
			return visit(secret)
		}
		if bodies.Owns(secret.ID) {
			if bodies.Needed(i, secret.ID) {
				return nil
			}
			return visit(secret)
		}
		named := i.Secrets()
		if of, pinned := vault.PinnedSecret(secret.ID); pinned {
			if of == i.Owner().GeneratedKeys() && i.GeneratesKeys() {
				return nil
			}
			secret.ID = of // it is destroyed with its secret
		}
		if slices.ContainsFunc(named, func(ref domain.SecretRef) bool { return ref.ID == secret.ID }) {
			return nil
		}
		return visit(secret)
	})
}

// needed reports whether an authorization needs a secret. A process that keeps none does
// not know.
func (s *Service) needed(ctx context.Context, i domain.Integration, secret string) (bool, error) {
	if s.Authorizations == nil {
		return true, nil
	}
	return s.Authorizations.Needs(ctx, i, secret)
}

// Sweep destroys the secrets that Orphans finds, at most atMost, and returns their number.
// It destroys nothing and returns an error when there are more (ErrTooMany), when events
// are missing from the log, when the log is empty, and during a backup.
func (s *Service) Sweep(ctx context.Context, atMost int) (int, error) {
	if err := s.destroyExpired(ctx); err != nil {
		return 0, err
	}
	var found []vault.Stored
	if err := s.Orphans(ctx, func(secret vault.Stored) error {
		found = append(found, secret)
		if len(found) > atMost {
			return ErrTooMany
		}
		return nil
	}); err != nil || len(found) == 0 {
		return 0, err
	}
	if err := s.mayDestroy(ctx); err != nil {
		return 0, err
	}
	for n, secret := range found {
		if err := s.Vault.Destroy(ctx, secret.Owner, secret.Ref()); err != nil {
			return n, err
		}
	}
	return len(found), nil
}

// mayDestroy returns an error if the log may be incomplete.
func (s *Service) mayDestroy(ctx context.Context) error {
	if err := s.Events.Intact(); err != nil {
		return err
	}
	head, err := s.Events.Head(ctx)
	if err != nil {
		return err
	}
	if head == 0 {
		return domain.Errorf(domain.Unavailable, "log_empty", "the event log is empty, and the vault is not")
	}
	held, err := s.Events.Held(ctx, BackupLease)
	if err == nil && held {
		err = domain.Errorf(domain.Unavailable, "backup_running", "a backup is running; secrets are destroyed after it")
	}
	return err
}

// Destroy implements approvals.Maker.
func (s *Service) Destroy(ctx context.Context, o domain.Owner, refs []domain.SecretRef) error {
	if err := s.mayDestroy(ctx); err != nil {
		return err
	}
	for _, ref := range refs {
		if err := s.Vault.Destroy(ctx, o, ref); err != nil {
			return err
		}
	}
	return nil
}

// destroyExpired destroys the keys of bodies that were kept long enough, however many there
// are: each names its day.
func (s *Service) destroyExpired(ctx context.Context) error {
	var expired []vault.Stored
	if err := s.Vault.Each(ctx, func(secret vault.Stored) error {
		if bodies.Expired(secret.ID, s.Now()) {
			expired = append(expired, secret)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, secret := range expired {
		if err := s.Destroy(ctx, secret.Owner, []domain.SecretRef{secret.Ref()}); err != nil {
			return err
		}
	}
	return nil
}
