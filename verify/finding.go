package verify

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// isFinding reports whether an error is one of what is verified, which is reported with the rest, and
// does not mean that nothing can be read now.
func isFinding(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (domain.KindOf(err) != domain.Unavailable || domain.CodeOf(err) == "projection_behind")
}
