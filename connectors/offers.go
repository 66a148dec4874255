package connectors

import (
	"context"
	"encoding/json"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxOffers       = 1000    // endpoints that one discovery lists
	maxFound        = 4000    // that are checked for its pages
	maxOfferedBytes = 8 << 20 // of a page, after which it ends

	// A page of as many endpoints as an integration may have can be posted as it is.
	maxPosted      = 200
	maxPostedBytes = 900 << 10 // of the 1 MiB that a request has
)

// pageRoom counts what a page may hold.
type pageRoom struct{ offers, bytes int }

// roomOf returns the room of the page that d asks for.
func roomOf(d domain.Description) pageRoom {
	if offers := pageSize(d); offers > maxPosted {
		return pageRoom{offers, maxOfferedBytes}
	}
	return pageRoom{pageSize(d), maxPostedBytes}
}

// takes reports whether there is room for o, and takes it. The first one always fits.
func (r *pageRoom) takes(o domain.Offer, first bool) bool {
	written, _ := json.Marshal(o) //nolint:errchkjson // one that can't be written is refused elsewhere
	if r.offers == 0 || r.bytes < len(written) && !first {
		return false
	}
	r.offers--
	r.bytes -= len(written)
	return true
}

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
	room := roomOf(d)
	found.Offers = nil
	for n, o := range wanted[from:] {
		if !room.takes(o, n == 0) {
			found.Next, found.Truncated = from+n, true
			break
		}
		found.Offers = append(found.Offers, o)
	}
	return found
}
