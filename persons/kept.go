package persons

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// kept returns the key of a name that is in memory, nil when there is none, and the revision of
// erasures that it is of.
func (p *Persons) kept(w domain.Workspace, name string) (*person, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byName[named{w, name}], p.revision
}

// keptAs is kept for an alias.
func (p *Persons) keptAs(w domain.Workspace, alias string) (one *person, known bool, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, known = p.byAlias[named{w, alias}]
	return one, known, p.revision
}

// keep keeps a key in memory, unless some were destroyed since it was read.
func (p *Persons) keep(w domain.Workspace, one *person, since uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revision != since {
		return
	}
	if len(p.byAlias) >= maxKept {
		p.forget()
	}
	p.byAlias[named{w, one.alias}] = one
	if !one.erased {
		p.byName[named{w, one.name}] = one
	}
}

// forget forgets all keys. The caller holds the lock, or is the only user.
func (p *Persons) forget() {
	p.byName, p.byAlias = map[named]*person{}, map[named]*person{}
}

// refresh forgets the keys that are in memory if some were destroyed. It asks once a second.
func (p *Persons) refresh(ctx context.Context) {
	now := time.Now() //nolint:forbidigo // how long ago, nothing else
	p.mu.Lock()
	if now.Sub(p.checked) < RecentFor {
		p.mu.Unlock()
		return
	}
	p.checked = now
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, RecentFor/2)
	defer cancel()
	_, _ = p.Revision(ctx) // if it fails, nothing can be read of the log then either
}

// Revision returns a number that is another one after each Announce, as the leader of the vault has
// it, and forgets the keys that are in memory if it is.
func (p *Persons) Revision(ctx context.Context) (uint64, error) {
	if p == nil {
		return 0, nil
	}
	_, revision, err := p.open(ctx, Everywhere, erasuresRef())
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision != p.revision {
		p.forget()
	}
	p.revision = revision
	return revision, nil
}
