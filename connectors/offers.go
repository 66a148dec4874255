package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxOffers      = 1000     // endpoints that one discovery lists
	maxOfferSchema = 64 << 10 // bytes of an endpoint's schema: no LLM is helped by more, and compiling it takes long
)

// acceptable returns what was found with the offers that an integration may have as
// endpoints. One whose schema is too much or can't be used takes anything: the
// upstream checks.
func acceptable(ctx context.Context, found domain.Discovery) domain.Discovery {
	if len(found.Offers) > maxOffers {
		found.Offers, found.Truncated = found.Offers[:maxOffers], true
	}
	accepted := rules(ctx, jsonschema.NewCache())
	var good []domain.Offer
	for _, o := range found.Offers {
		if len(o.InputSchema) > maxOfferSchema || len(o.Problems(accepted)) > 0 {
			o.InputSchema = []byte(`{}`)
		}
		if ctx.Err() != nil {
			found.Offers, found.Error, found.ErrorCode = nil, "Reading what the upstream offers took too long.", domain.CallTimeout
			return found
		}
		if len(o.Problems(accepted)) == 0 {
			good = append(good, o)
		}
	}
	found.Offers = good
	return found
}
