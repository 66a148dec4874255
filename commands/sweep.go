package commands

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
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
		if s.Now().Sub(secret.At) < SweepAfter {
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
		named := i.Secrets()
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
