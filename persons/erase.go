package persons

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// Aliases returns what stands for a name in a workspace, in what is stored: none when nothing was
// sealed for it.
func (p *Persons) Aliases(ctx context.Context, w domain.Workspace, name string) ([]string, error) {
	all, err := p.vault.IDs(ctx, ownerIn(w))
	if err != nil {
		return nil, err
	}
	var aliases []string
	for _, secret := range all {
		alias, ok := strings.CutPrefix(secret.ID, keyOf)
		if !ok {
			continue
		}
		one, err := p.readKey(ctx, w, alias)
		if err != nil {
			return nil, err
		}
		if one != nil && one.name == name {
			aliases = append(aliases, alias)
		}
	}
	slices.Sort(aliases)
	return aliases, nil
}

// Destroy destroys the keys with some aliases, all of one name in a workspace. Other processes use
// none of them any more after RecentFor. It can be repeated.
func (p *Persons) Destroy(ctx context.Context, w domain.Workspace, name string, aliases []string) error {
	for _, alias := range aliases {
		if err := p.vault.Destroy(ctx, ownerIn(w), keyRef(alias)); err != nil {
			return err
		}
	}
	if err := p.vault.Destroy(ctx, ownerIn(w), p.aliasRef(w, name)); err != nil {
		return err
	}
	return p.Announce(ctx)
}

// Announce has every process forget the keys that it has in memory.
func (p *Persons) Announce(ctx context.Context) error {
	for {
		_, revision, err := p.open(ctx, Everywhere, erasuresRef())
		if err != nil {
			return err
		}
		_, err = p.vault.Replace(ctx, ownerIn(Everywhere), domain.SealedSecret{Ref: erasuresRef(), Secret: domain.NewSecret("1")}, revision)
		if errors.Is(err, vault.ErrReplaced) {
			continue
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forget()
		return err
	}
}

// IsKey reports whether a secret that Owns is the key of a person, by its id.
func IsKey(id string) bool { return strings.HasPrefix(id, keyOf) }
