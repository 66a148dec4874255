package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxOffers       = 1000    // endpoints that one discovery lists
	maxFound        = 4000    // that are checked for its pages
	maxOfferedBytes = 8 << 20 // of the schemas of a page, after which it ends
)

// pageSize returns how many endpoints a page has.
func pageSize(d domain.Description) int {
	if d.Limit <= 0 {
		return maxOffers
	}
	return min(d.Limit, maxOffers)
}

func tookTooLong(found domain.Discovery) domain.Discovery {
	found.Offers, found.Skipped = nil, nil
	found.Error, found.ErrorCode = "Reading what the upstream offers took too long.", domain.CallTimeout
	return found
}

// acceptable returns what was found with the offers that an integration may have as
// endpoints. One whose schema is too much or can't be used takes anything: the
// upstream checks.
func acceptable(ctx context.Context, found domain.Discovery) domain.Discovery {
	if len(found.Offers) > maxFound {
		found.Offers, found.Truncated = found.Offers[:maxFound], true
	}
	accepted := rules(ctx, jsonschema.NewCache())
	var good []domain.Offer
	for _, o := range found.Offers {
		if len(o.InputSchema) > openapi.MaxSchema || len(o.Problems(accepted)) > 0 {
			o.InputSchema = []byte(`{}`)
			o.Notes = append(o.Notes, "the schema is too large or can't be used: the endpoint takes any parameters")
		}
		if ctx.Err() != nil {
			return tookTooLong(found)
		}
		if problems := o.Problems(accepted); len(problems) > 0 {
			found.Skipped = append(found.Skipped, domain.Skipped{Operation: o.Name, Reason: problems[0].Pointer + " " + problems[0].Detail})
			continue
		}
		good = append(good, o)
	}
	found.Offers = good
	return found
}

// page returns the page of what was found that d wants. What is skipped is on the first.
func page(found domain.Discovery, d domain.Description) domain.Discovery {
	var wanted []domain.Offer
	for _, o := range found.Offers {
		if d.Select.Matches(o.Candidate()) {
			wanted = append(wanted, o)
		}
	}
	found.Total = len(wanted) + len(found.Skipped)
	from := min(d.After, len(wanted))
	if from > 0 {
		found.Skipped = nil
	}
	size := 0
	found.Offers = nil
	for n, o := range wanted[from:] {
		if len(found.Offers) == pageSize(d) || size > maxOfferedBytes {
			found.Next, found.Truncated = from+n, true
			break
		}
		found.Offers = append(found.Offers, o)
		size += len(o.InputSchema)
	}
	return found
}
