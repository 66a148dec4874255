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

// Authorizations returns a page of the authorizations of a workspace.
func (r Reader) Authorizations(ctx context.Context, w domain.Workspace, q AuthorizationQuery) (AuthorizationPage, error) {
	if err := r.caughtUp(ctx); err != nil {
		return AuthorizationPage{}, err
	}
	return r.Store.Authorizations(ctx, w, q)
}

// Answer returns what the API answers of an integration or built-in, as the scope of ctx shows
// it. It refuses as Get does.
func (r Reader) Answer(ctx context.Context, w domain.Workspace, id domain.ID) (Answer, error) {
	if !domain.ScopeOf(ctx).Narrow() {
		if err := r.caughtUp(ctx); err != nil {
			return Answer{}, err
		}
		a, err := r.Store.Answer(ctx, w, id)
		if domain.KindOf(err) != domain.NotFound { // a built-in is not stored
			return a, err
		}
	}
	i, err := r.Get(ctx, w, id)
	if err != nil {
		return Answer{}, err
	}
	return answerOf(i, Sort{})
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

// Answers returns what the API answers of the integrations on the page that List returns.
func (r Reader) Answers(ctx context.Context, w domain.Workspace, q Query) (AnswerPage, error) {
	if domain.ScopeOf(ctx).Narrow() {
		page, err := r.List(ctx, w, q)
		if err != nil {
			return AnswerPage{}, err
		}
		items, err := answersOf(page.Items, q.Sort)
		return AnswerPage{Items: items, HasMore: page.HasMore, Next: page.Next, Total: page.Total, AtLeast: page.AtLeast}, err
	}
	if err := r.caughtUp(ctx); err != nil {
		return AnswerPage{}, err
	}
	return listWith(ctx, r, w, q, r.Store.Answers, func(all []Integration) ([]Answer, error) { return answersOf(all, q.Sort) })
}

// visiblePage is how many integrations are read at once to find the visible ones.
const visiblePage = 200

// listVisible reads all integrations that q selects, because the total counts the visible ones.
func (r Reader) listVisible(ctx context.Context, w domain.Workspace, q Query, scope domain.Scope) (Page, error) {
	all := Query{Filter: q.Filter, Sort: q.Sort, Limit: visiblePage, NoTotal: true}
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
		if most := q.AtMost(); most > 0 && total >= most && len(rows) > q.Limit {
			return NewPage(q, rows, q.Counted(most)), nil
		}
		if all.After = page.Next; all.After == nil {
			return NewPage(q, rows, q.Counted(total)), nil
		}
	}
}

func (r Reader) list(ctx context.Context, w domain.Workspace, q Query) (Page, error) {
	return listWith(ctx, r, w, q, r.Store.List, func(all []Integration) ([]Integration, error) { return all, nil })
}

// listWith reads a page from a store, and merges the built-ins into it.
func listWith[Item Placed](ctx context.Context, r Reader, w domain.Workspace, q Query,
	read func(context.Context, domain.Workspace, Query) (PageOf[Item], error), show func([]Integration) ([]Item, error),
) (PageOf[Item], error) {
	builtins := slices.DeleteFunc(domain.Builtins(w, r.Builtins), func(i domain.Integration) bool { return !q.Matches(i) })
	all := len(builtins)
	builtins = ahead(builtins, q)
	page := PageOf[Item]{Items: []Item{}}
	if q.Builtin == nil || !*q.Builtin {
		var err error
		if page, err = read(ctx, w, q); err != nil {
			return page, err
		}
	}
	if page.HasMore { // those that follow the page are on a later one
		builtins = slices.DeleteFunc(builtins, func(i domain.Integration) bool { return q.Sort.Compare(q.Sort.KeyOf(i), *page.Next) > 0 })
	}
	if len(builtins) > 0 {
		own, err := r.probed(ctx, w, builtins)
		if err != nil {
			return page, err
		}
		more, err := show(own)
		if err != nil {
			return page, err
		}
		release := page.Release
		page = merge(page, more, q)
		page.Release = release
	}
	if !q.NoTotal {
		page.Total += all
	}
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
func merge[Item Placed](page PageOf[Item], more []Item, q Query) PageOf[Item] {
	rows := slices.Concat(page.Items, more)
	slices.SortStableFunc(rows, func(a, b Item) int { return q.Sort.Compare(a.Place(q.Sort), b.Place(q.Sort)) })
	if page.HasMore { // nothing beyond the store's page precedes its end
		page.Items = rows[:q.Limit]
		next := rows[q.Limit-1].Place(q.Sort)
		page.Next = &next
		return page
	}
	return NewPage(q, rows, Counted{page.Total, page.AtLeast})
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

// Workspaces returns up to limit workspaces with an integration, by name, after one.
func (r Reader) Workspaces(ctx context.Context, after domain.Workspace, limit int) ([]WorkspaceSize, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	return r.Store.Workspaces(ctx, after, limit)
}
