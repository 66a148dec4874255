package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/projections"
)

// readModel is the live read model, with its position.
type readModel interface {
	projections.Model
	Run(ctx context.Context) error
	Wait(ctx context.Context, position uint64) error
	Close() error
}

// followed is a read model that a running service keeps current.
type followed struct {
	projections.Store
	*projections.Projector
}

// openReadModel opens the live read model. It is kept current by a running service, or built and
// kept current by this process.
func (v *verification) openReadModel(ctx context.Context) (readModel, error) {
	if !v.Followed {
		return &projections.Live{Events: v.Events, Generations: v.Generations, Log: v.Log}, nil
	}
	_, store, err := projections.OpenLive(ctx, v.Generations)
	if err != nil {
		return nil, err
	}
	return followed{Store: store, Projector: &projections.Projector{Events: v.Events, Store: store, Mode: projections.ReadOnly, Log: v.Log}}, nil
}

// compareReadModel compares the read model with the state that the log leads to, once it shows the
// whole log.
func (v *verification) compareReadModel(ctx context.Context) (err error) {
	if !v.Followed {
		ahead, err := v.isAhead(ctx)
		if err != nil {
			return err
		}
		if v.incomplete = v.incomplete || ahead; v.incomplete {
			return v.compareAsItIs(ctx)
		}
	}
	shown, err := v.openReadModel(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shown.Close()) }()
	if err := v.catchUp(ctx, shown); err != nil {
		return err
	}
	return v.compareStored(ctx, shown)
}

// compareStored compares what a read model shows with the state that the log leads to.
func (v *verification) compareStored(ctx context.Context, shown projections.Model) error {
	if err := v.compare(ctx, shown); err != nil {
		return err
	}
	return v.compareAuthorizations(ctx, shown)
}

// count counts what the log leads to.
func (v *verification) count() {
	for _, f := range v.folded {
		if !f.deleted {
			v.report.Integrations++
		}
	}
	for _, a := range v.authorizations {
		if a.listed {
			v.report.Authorizations++
		}
	}
}

// catchUp waits until the read model shows the whole log.
func (v *verification) catchUp(ctx context.Context, shown readModel) error {
	wait, cancel := context.WithTimeout(ctx, v.CatchUp)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- shown.Run(running) }()
	err := shown.Wait(wait, v.head)
	stop()
	return errors.Join(err, <-done)
}

// compare compares the read model with the state that the log leads to.
func (v *verification) compare(ctx context.Context, shown projections.Model) error {
	workspaces := map[domain.Workspace]map[group]int{}
	for k, f := range v.folded {
		if workspaces[k.Workspace] == nil {
			workspaces[k.Workspace] = map[group]int{}
		}
		if !f.deleted {
			workspaces[k.Workspace][f.group]++
		}
	}
	progress := terminal.NewProgress(v.Progress, "workspaces", len(workspaces))
	defer progress.Done()
	compared := 0
	for w, groups := range workspaces {
		if err := v.compareWorkspace(ctx, shown, w); err != nil {
			return err
		}
		if err := v.compareTotals(ctx, shown, w, groups); err != nil {
			return err
		}
		compared++
		progress.Set(compared)
	}
	for k, f := range v.folded {
		if !f.deleted && !f.shown && !v.changedSince(ctx, k) {
			v.problem("%s/%s: the log has it and the read model does not show it", k.Workspace, k.ID)
		}
	}
	return nil
}

func (v *verification) compareWorkspace(ctx context.Context, shown projections.Model, w domain.Workspace) error {
	q := projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: 200, NoTotal: true}
	for {
		page, err := shown.List(ctx, w, q)
		if err != nil {
			return err
		}
		for _, i := range page.Items {
			k := domain.Ref{Workspace: w, ID: i.ID}
			f := v.folded[k]
			if f != nil {
				f.shown = true
			}
			if (f == nil || f.deleted || f.version != i.Version || f.hash != hashOf(i.Integration)) && !v.changedSince(ctx, k) {
				v.problem("%s/%s: the read model differs from the log at version %d", w, i.ID, i.Version)
			}
		}
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}

// isAhead reports whether the live read model shows more than the log has. It does not when there is
// none, or none that can be read.
func (v *verification) isAhead(ctx context.Context) (bool, error) {
	_, store, err := projections.OpenLive(ctx, v.Generations)
	if err != nil {
		return false, nil //nolint:nilerr // then one is built from the log, or reading it fails again
	}
	ahead, err := projections.Ahead(ctx, v.Events, store)
	if err := store.Close(); err != nil {
		return false, err
	}
	return ahead, err
}

// compareAsItIs compares the read model with what is left of the log, and applies nothing to it: it
// may show what the log has lost.
func (v *verification) compareAsItIs(ctx context.Context) error {
	_, store, err := projections.OpenLive(ctx, v.Generations)
	if err != nil {
		return fmt.Errorf("%w; none is built while events are missing from the log", err)
	}
	defer store.Close() //nolint:errcheck // nothing was written
	at, err := store.Positions(ctx)
	switch {
	case err != nil:
		return err
	case at.Integrations < v.head:
		v.problem("the read model can't be compared with the log: it shows %d of %d positions, and nothing is applied while events are missing", at.Integrations, v.head)
		return nil
	case at.Integrations > v.head:
		v.problem("the read model shows the log up to position %d, and the log ends at %d", at.Integrations, v.head)
	}
	return v.compareStored(ctx, store)
}
