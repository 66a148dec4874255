package projections

import (
	"context"
	"slices"

	"github.com/seed677028b5/integrations/domain"
)

// Reader reads stored integrations and built-ins, as if built-ins were stored in every
// workspace.
type Reader struct {
	Store    Model
	Builtins domain.BuiltinSettings

	// CaughtUp returns nil once the store is complete enough to be read. Until then an
	// integration that it lacks may exist. Default: always complete.
	CaughtUp func(context.Context) error
}

func (r Reader) caughtUp(ctx context.Context) error {
	if r.CaughtUp == nil {
		return nil
	}
	return r.CaughtUp(ctx)
}

// Get returns the integration or built-in of that workspace, as the scope of ctx shows it, or
// domain.NoSuchIntegration.
func (r Reader) Get(ctx context.Context, w domain.Workspace, id domain.ID) (Integration, error) {
	if err := r.caughtUp(ctx); err != nil {
		return Integration{}, err
	}
	i, err := r.get(ctx, w, id)
	if err != nil {
		return Integration{}, err
	}
	var visible bool
	if i.Integration, visible = domain.ScopeOf(ctx).View(i.Integration); !visible {
		return Integration{}, domain.NoSuchIntegration()
	}
	return i, nil
}

func (r Reader) get(ctx context.Context, w domain.Workspace, id domain.ID) (Integration, error) {
	builtin, ok := domain.Builtin(w, id, r.Builtins)
	if !ok {
		return r.Store.Get(ctx, w, id)
	}
	with, err := r.probed(ctx, w, []domain.Integration{builtin})
	if err != nil {
		return Integration{}, err
	}
	return with[0], nil
}

// List returns a page of the integrations and built-ins of a workspace, as the scope of ctx
// shows them.
func (r Reader) List(ctx context.Context, w domain.Workspace, q Query) (Page, error) {
	if err := r.caughtUp(ctx); err != nil {
		return Page{}, err
	}
	if scope := domain.ScopeOf(ctx); scope.Narrow() {
		return r.listVisible(ctx, w, q, scope)
	}
	return r.list(ctx, w, q)
}

// visiblePage is how many integrations are read at once to find the visible ones.
const visiblePage = 200

// listVisible reads all integrations that q selects, because the total counts the visible ones.
func (r Reader) listVisible(ctx context.Context, w domain.Workspace, q Query, scope domain.Scope) (Page, error) {
	all := Query{Filter: q.Filter, Sort: q.Sort, Limit: visiblePage}
	rows, total := []Integration{}, 0
	for {
		page, err := r.list(ctx, w, all)
		if err != nil {
			return Page{}, err
		}
		for _, i := range page.Items {
			var visible bool
			if i.Integration, visible = scope.View(i.Integration); !visible {
				continue
			}
			total++
			if len(rows) <= q.Limit && (q.After == nil || q.Sort.Compare(q.Sort.KeyOf(i.Integration), *q.After) > 0) {
				rows = append(rows, i)
			}
		}
		if all.After = page.Next; all.After == nil {
			return NewPage(q, rows, total), nil
		}
	}
}

func (r Reader) list(ctx context.Context, w domain.Workspace, q Query) (Page, error) {
	builtins := slices.DeleteFunc(domain.Builtins(w, r.Builtins), func(i domain.Integration) bool { return !q.Matches(i) })
	all := len(builtins)
	builtins = ahead(builtins, q)
	page := Page{Items: []Integration{}}
	if q.Builtin == nil || !*q.Builtin {
		var err error
		if page, err = r.Store.List(ctx, w, q); err != nil {
			return Page{}, err
		}
	}
	if len(builtins) > 0 {
		own, err := r.probed(ctx, w, builtins)
		if err != nil {
			return Page{}, err
		}
		page = merge(page, own, q)
	}
	page.Total += all
	return page, nil
}

// ahead returns the built-ins that q has yet to show, in its order.
func ahead(builtins []domain.Integration, q Query) []domain.Integration {
	if q.After != nil {
		builtins = slices.DeleteFunc(builtins, func(i domain.Integration) bool {
			return q.Sort.Compare(q.Sort.KeyOf(i), *q.After) <= 0
		})
	}
	slices.SortFunc(builtins, func(a, b domain.Integration) int {
		return q.Sort.Compare(q.Sort.KeyOf(a), q.Sort.KeyOf(b))
	})
	return builtins
}

// merge inserts more, in the order of q, into the page that a store returned for q. Items that
// no longer fit appear on the next page, which starts after the last item of this one.
func merge(page Page, more []Integration, q Query) Page {
	rows := slices.Concat(page.Items, more)
	slices.SortStableFunc(rows, func(a, b Integration) int {
		return q.Sort.Compare(q.Sort.KeyOf(a.Integration), q.Sort.KeyOf(b.Integration))
	})
	if page.HasMore { // nothing beyond the store's page precedes its end
		rows = rows[:q.Limit]
		next := q.Sort.KeyOf(rows[q.Limit-1].Integration)
		return Page{Items: rows, HasMore: true, Total: page.Total, Next: &next}
	}
	return NewPage(q, rows, page.Total)
}

// probed returns the built-ins with their last probes.
func (r Reader) probed(ctx context.Context, w domain.Workspace, builtins []domain.Integration) ([]Integration, error) {
	ids := make([]domain.ID, len(builtins))
	for n, b := range builtins {
		ids[n] = b.ID
	}
	probes, err := r.Store.Probed(ctx, w, ids)
	if err != nil {
		return nil, err
	}
	with := make([]Integration, len(builtins))
	for n, b := range builtins {
		with[n].Integration = b
		if probe, ok := probes[b.ID]; ok {
			with[n].LastProbe = &probe
		}
	}
	return with, nil
}
