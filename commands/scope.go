package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// Visible refuses with NotFound an integration that the scope of ctx hides, as one that
// never existed. A deleted one may be visible. A scope that hides nothing costs nothing.
func (s *Service) Visible(ctx context.Context, w domain.Workspace, id domain.ID) error {
	scope := domain.ScopeOf(ctx)
	if !scope.Narrow() {
		return nil
	}
	i, err := s.last(ctx, w, id)
	switch {
	case domain.KindOf(err) == domain.Conflict: // it is unreadable, so its name and endpoints are unknown
		return domain.NoSuchIntegration()
	case err != nil:
		return err
	case i.ID == "" || !scope.Sees(i):
		return domain.NoSuchIntegration()
	}
	return nil
}

// endpoint returns an endpoint of i, unless the scope of ctx hides it.
func endpoint(ctx context.Context, i domain.Integration, name string) (domain.Endpoint, error) {
	seen, visible := domain.ScopeOf(ctx).View(i)
	if !visible {
		return domain.Endpoint{}, domain.NoSuchIntegration()
	}
	return seen.Endpoint(name)
}

// mayName refuses with Forbidden a name of an integration that the scope of ctx would hide,
// whether or not there is one.
func mayName(ctx context.Context, name string) error {
	scope := domain.ScopeOf(ctx)
	if scope.NarrowsEndpoints() || !scope.Named(name) {
		return domain.Errorf(domain.Forbidden, "forbidden", "this API key is narrowed to other integrations")
	}
	return nil
}
