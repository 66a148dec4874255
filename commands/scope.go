package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

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
