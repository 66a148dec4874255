package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/vault"
)

// fold reads the log up to its head and checks that versions have no gaps.
func (v *verification) fold(s streams) error {
	if v.head == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	progress := newProgress(s.err, "events", int(v.head)) //nolint:gosec // a count of events fits
	defer progress.done()
	for batch, err := range v.events.After(ctx, 0) {
		if err != nil {
			return err
		}
		for _, commit := range batch {
			if commit.Position <= v.head {
				v.missing(commit.Position)
				v.event(commit)
			}
		}
		progress.at(v.Events)
		if batch[len(batch)-1].Position >= v.head {
			return nil
		}
	}
	return s.ctx.Err()
}

// missing notes that there is no event that can be read between the one before and
// a position.
func (v *verification) missing(position uint64) {
	from, to := v.at+1, position-1
	v.at = position
	if from > to {
		return
	}
	v.gap = to
	if v.Accepted += to - from + 1; v.Accepted <= v.events.Lineage().Accepted {
		return
	}
	v.problem("events are missing from the log, or can't be read: positions %d to %d", from, to)
}

// event folds one event.
func (v *verification) event(c eventstore.Commit) {
	v.Events++
	if c.Err != nil {
		v.problem("%v", c.Err)
		return
	}
	at := place{c.Workspace, c.ID}
	f := v.folded[at]
	if f == nil {
		f = &folded{}
		v.folded[at] = f
	}
	i := domain.Evolve(domain.Integration{}, c.Event)
	if i.Version != f.version+1 && v.gap <= f.position {
		v.problem("%s/%s: version %d follows version %d", c.Workspace, c.ID, i.Version, f.version)
	}
	if i.ID != c.ID || i.Workspace != c.Workspace {
		v.problem("%s/%s: event %d is about another integration", c.Workspace, c.ID, c.Position)
	}
	*f = folded{position: c.Position, version: i.Version, deleted: i.Deleted, hash: hashOf(i), owner: i.Owner(), secrets: i.Secrets()}
}

func hashOf(i domain.Integration) [sha256.Size]byte {
	data, err := json.Marshal(i)
	if err != nil {
		return [sha256.Size]byte{} // an Integration is plain data; this can't happen
	}
	return sha256.Sum256(data)
}

// openSecrets opens every secret that what lives names.
func (v *verification) openSecrets(ctx context.Context, secrets *vault.Vault) {
	for at, f := range v.folded {
		for _, ref := range f.secrets {
			v.Secrets++
			if _, err := secrets.Open(ctx, f.owner, ref); err != nil && !v.changedSince(ctx, at) {
				v.problem("%s/%s: secret %s: %v", at.workspace, at.id, ref.Field, err)
			}
		}
	}
}

// changedSince reports whether an integration was changed after the head was
// read, so that nothing can be said of it.
func (v *verification) changedSince(ctx context.Context, at place) bool {
	last, err := v.events.LoadFromLeader(ctx, at.workspace, at.id)
	return err == nil && last.Position > v.head
}

// shown is the live read model and what tells how far it has come.
type shown interface {
	projections.Model
	Run(ctx context.Context) error
	Wait(ctx context.Context, position uint64) error
	Close() error
}

// followed is one that a service keeps current.
type followed struct {
	projections.Store
	*projections.Projector
}

// followLive returns the live read model. When no service runs that would keep
// it current, this does.
func followLive(s streams, events *eventstore.Store, g projections.Generations, running bool) (shown, error) {
	if !running {
		return &projections.Live{Events: events, Generations: g, Log: s.log}, nil
	}
	_, store, err := openLive(s.ctx, g)
	if err != nil {
		return nil, err
	}
	return followed{Store: store, Projector: &projections.Projector{Events: events, Store: store, Part: projections.Follows, Log: s.log}}, nil
}

// catchUp waits until the read model shows the whole log.
func (v *verification) catchUp(s streams, within time.Duration, shown shown) error {
	wait, cancel := context.WithTimeout(s.ctx, within)
	defer cancel()
	ctx, stop := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- shown.Run(ctx) }()
	err := shown.Wait(wait, v.head)
	stop()
	return errors.Join(err, <-done)
}

// compare holds the read model to the fold of the log.
func (v *verification) compare(s streams, store projections.Model) error {
	workspaces := map[domain.Workspace]bool{}
	for at, f := range v.folded {
		workspaces[at.workspace] = true
		if !f.deleted {
			v.Integrations++
		}
	}
	progress := newProgress(s.err, "workspaces", len(workspaces))
	defer progress.done()
	compared := 0
	for w := range workspaces {
		if err := v.compareWorkspace(s.ctx, store, w); err != nil {
			return err
		}
		compared++
		progress.at(compared)
	}
	for at, f := range v.folded {
		if !f.deleted && !f.shown && !v.changedSince(s.ctx, at) {
			v.problem("%s/%s: the log has it and the read model does not show it", at.workspace, at.id)
		}
	}
	return nil
}

func (v *verification) compareWorkspace(ctx context.Context, store projections.Model, w domain.Workspace) error {
	q := projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: 200}
	for {
		page, err := store.List(ctx, w, q)
		if err != nil {
			return err
		}
		for _, i := range page.Items {
			at := place{w, i.ID}
			f := v.folded[at]
			if f != nil {
				f.shown = true
			}
			if (f == nil || f.deleted || f.version != i.Version || f.hash != hashOf(i.Integration)) && !v.changedSince(ctx, at) {
				v.problem("%s/%s: the read model shows something else than the log leads to, at version %d", w, i.ID, i.Version)
			}
		}
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}
