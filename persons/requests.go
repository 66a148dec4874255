package persons

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// Strangers stands for everybody who has no key in a workspace and sends requests to it. They share
// one. No person has this name.
const Strangers = "=strangers"

// SealRequest returns who sent a request to a workspace and from where, as it is stored. Anyone may
// send requests, so no person gets a key by one, and the strangers of what is no workspace, or has
// nothing in the vault yet, share the key of Everywhere. An empty name is of nobody.
func (p *Persons) SealRequest(ctx context.Context, w domain.Workspace, name, address string) (who, from string, err error) {
	if p == nil || name == "" {
		return name, address, nil
	}
	p.refresh(ctx)
	whose := "" // an API key's: the workspace's own
	if w == Everywhere {
		whose = Strangers
	} else if IsPerson(name) {
		one, err := p.known(ctx, w, name)
		if err != nil {
			return "", "", err
		}
		if one != nil {
			from, err = one.seal(w, address)
			return namePrefix + one.alias, from, err
		}
		used, err := p.used(ctx, w)
		if err != nil {
			return "", "", err
		}
		if whose = Strangers; !used {
			w = Everywhere
		}
	}
	if from, err = p.Seal(ctx, w, whose, address); err != nil || !IsPerson(name) {
		return name, from, err
	}
	who, err = p.Seal(ctx, w, whose, name)
	return who, from, err
}

// known returns the key of a name, nil when there is none.
func (p *Persons) known(ctx context.Context, w domain.Workspace, name string) (*person, error) {
	one, since := p.kept(w, name)
	if one != nil {
		return one, nil
	}
	one, _, err := p.read(ctx, w, name)
	if one != nil && err == nil {
		p.keep(w, one, since)
	}
	return one, err
}

// used reports whether the vault has anything of a workspace.
func (p *Persons) used(ctx context.Context, w domain.Workspace) (bool, error) {
	if one, _ := p.kept(w, Strangers); one != nil {
		return true, nil
	}
	all, err := p.vault.IDs(ctx, domain.Owner{Workspace: w})
	return len(all) > 0, err
}
