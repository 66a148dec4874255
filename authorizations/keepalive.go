package authorizations

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/vault"
)

// Many authorization servers end a refresh token that was not used for a week, a month or a
// quarter. So those of authorizations that nobody calls with are used from time to time.

const (
	maxKeepAlive = 8                   // refreshes at once
	keepAliveGap = domain.MinKeepAlive // an age below which no grant is due
)

// Kept is what a pass of KeepAlive did.
type Kept struct {
	Refreshed int
	Failed    int
}

// KeepAlive refreshes the grants that were not refreshed for as long as their integration
// asks, those that have waited longest first. Each is tried once: one that fails comes last
// in the next pass. The leases are those of any refresh, so several processes may run it.
func (a *Authorizations) KeepAlive(ctx context.Context, find Finder) (Kept, error) {
	p := pass{Authorizations: a, find: find, uses: map[domain.Ref]*Use{}}
	running, within := errgroup.WithContext(ctx)
	running.SetLimit(maxKeepAlive)
	err := a.Vault.Before(within, a.Now().Add(-keepAliveGap), func(s vault.Stored) error {
		named, ok := strings.CutPrefix(s.ID, grantSecret)
		if !ok {
			return nil
		}
		hash, _, _ := strings.Cut(named, "-")
		u, err := p.use(within, s.Owner.Workspace, s.Owner.ID)
		if err != nil {
			return err
		}
		if u == nil || a.Now().Sub(s.At) < u.Integration.Auth.KeepAlive() {
			return nil
		}
		running.Go(func() error {
			p.keepAlive(within, *u, key{s.Owner.Workspace, s.Owner.ID, hash}, s.ID)
			return nil
		})
		return within.Err()
	})
	if waited := running.Wait(); err == nil {
		err = waited
	}
	return p.kept, err
}

// A pass remembers the integrations that it has read.
type pass struct {
	*Authorizations

	find Finder
	mu   sync.Mutex
	uses map[domain.Ref]*Use // nil: nothing of it is kept alive
	kept Kept
}

// maxUses bounds the integrations that a pass remembers.
const maxUses = 1000

// use returns an integration, nil when nothing of it is to be kept alive.
func (p *pass) use(ctx context.Context, w domain.Workspace, id domain.ID) (*Use, error) {
	of := domain.Ref{Workspace: w, ID: id}
	if u, ok := p.uses[of]; ok {
		return u, nil
	}
	u, err := p.find(ctx, w, id)
	if domain.KindOf(err) == domain.Unavailable || ctx.Err() != nil {
		return nil, err
	}
	if len(p.uses) >= maxUses {
		clear(p.uses)
	}
	p.uses[of] = nil
	if err == nil && u.Integration.Enabled && u.Integration.Auth.KeepAlive() > 0 {
		p.uses[of] = &u
	}
	return p.uses[of], nil
}

// keepAlive refreshes a grant, if it is still in use.
func (p *pass) keepAlive(ctx context.Context, u Use, k key, secret string) {
	state, err := p.usable(ctx, u, k)
	if err != nil || state.Grant.ID != secret || !state.CanRefresh {
		return
	}
	g, _, err := p.openLatest(ctx, u.Integration.Owner(), state.Grant)
	if err != nil || g.Refresh == "" {
		return
	}
	_, err = p.flights.wait(ctx, k.String(), func() result { return p.refresh(u, k, state.Grant, g.Access, false) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.kept.Refreshed++
		return
	}
	p.kept.Failed++
	p.Log.WarnContext(ctx, "an idle authorization could not be renewed", slog.String("integration_id", string(k.id)), slog.String("authorization", k.hash), slog.Any("err", err))
}

// keepAliveEvery is how often idle grants are looked for, and retryEvery how often
// revocations are repeated.
const (
	keepAliveEvery = 30 * time.Minute
	retryEvery     = 10 * time.Minute
)

// Maintain keeps idle authorizations alive, and repeats revocations that failed, until ctx
// ends. One process at a time need do it.
func (a *Authorizations) Maintain(ctx context.Context, find Finder) error {
	keep, retry := time.NewTicker(keepAliveEvery), time.NewTicker(retryEvery)
	defer keep.Stop()
	defer retry.Stop()
	for {
		var err error
		select {
		case <-keep.C:
			var kept Kept
			if kept, err = a.KeepAlive(ctx, find); kept != (Kept{}) {
				a.Log.InfoContext(ctx, "idle authorizations were renewed", slog.Int("renewed", kept.Refreshed), slog.Int("failed", kept.Failed))
			}
		case <-retry.C:
			_, err = a.RetryRevocations(ctx, find)
		case <-ctx.Done():
			return nil
		}
		if err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "maintaining authorizations failed; it is tried again", slog.Any("err", err))
		}
	}
}
