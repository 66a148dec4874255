package commands

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// SweepAfter is how long a secret may lie in the vault before an event names
// it: longer than any command takes.
const SweepAfter = 5 * time.Minute

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

// SweepSecrets destroys what Orphans finds and returns how many there were.
func (s *Service) SweepSecrets(ctx context.Context) (int, error) {
	swept := 0
	return swept, s.Orphans(ctx, func(secret vault.Stored) error {
		swept++
		return s.Vault.Destroy(ctx, secret.Owner, secret.Ref())
	})
}
