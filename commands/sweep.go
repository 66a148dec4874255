package commands

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// A secret can't be brought back, so the sweep waits for evidence.
const (
	// SweepAfter is how long a secret may lie in the vault before an event names it:
	// longer than any command takes, and than it takes to notice that a log is not
	// the right one.
	SweepAfter = 24 * time.Hour

	// SweepAtMost is how many secrets one sweep destroys by itself. More of them
	// look like a log that lost its events, and need an operator's word.
	SweepAtMost = 20
)

// ErrTooMany says that a sweep found more secrets than it destroys by itself.
var ErrTooMany = domain.Errorf(domain.Conflict, "too_many_secrets",
	"no event names more than %d of the stored secrets; look at them with `integrations sweep`", SweepAtMost)

// Orphans calls visit for every secret that no live event names and that is too
// old for one to be on its way.
func (s *Service) Orphans(ctx context.Context, visit func(vault.Stored) error) error {
	return s.Vault.Each(ctx, func(secret vault.Stored) error {
		if s.Now().Sub(secret.At) < SweepAfter {
			return nil
		}
		last, err := s.Events.LoadFromLeader(ctx, secret.Owner.Workspace, secret.Owner.ID)
		switch {
		case domain.KindOf(err) == domain.Unavailable:
			return err
		case err != nil: // nobody can tell what an event that can't be read names
			return nil
		}
		named := domain.Evolve(domain.Integration{}, last.Event).Secrets()
		if slices.ContainsFunc(named, func(ref domain.SecretRef) bool { return ref.ID == secret.ID }) {
			return nil
		}
		return visit(secret)
	})
}

// Sweep destroys what Orphans finds, at most a number of them, and returns how many
// it destroyed. It destroys nothing, and returns an error, when there are more
// (ErrTooMany), while events are missing from the log, while the log is empty, and
// while a backup is being made.
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

// mayDestroy refuses while something says that the log is not all there.
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
		err = domain.Errorf(domain.Unavailable, "backup_running", "a backup is being made; secrets are destroyed after it")
	}
	return err
}
