// Package imports reads requests that people already have, and lists them as endpoints:
// a cURL command, a Postman collection (v2.1) or a HAR file (1.2).
//
// Its promise: no credential in them becomes a part of an endpoint, what was left out is
// noted without its value, and reading takes time and memory that grow with the length
// of the text only.
package imports

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

const (
	maxRequests = 2000 // that are read of one text
	maxSkipped  = 200  // that are listed
)

// For is the integration that requests are read for.
type For struct {
	BaseURL string
	// The header and the member of the query that its auth sets. "": none
	AuthHeader, AuthQuery string
}

// Found is what was read.
type Found struct {
	Offers    []domain.Offer
	Skipped   []domain.Skipped
	Total     int  // requests, offered or not
	Truncated bool // there are more requests than are read
}

// A reader turns requests into offers. Requests for the same are one offer.
type reader struct {
	ctx   context.Context
	of    For
	found Found
	names map[string]int
	seen  map[string]int // offers by method, base URL and path
	built []*endpoint
}

func newReader(ctx context.Context, of For) *reader {
	return &reader{ctx: ctx, of: of, names: map[string]int{}, seen: map[string]int{}}
}

// add adds a request, and reports whether there is room for more.
func (r *reader) add(q request) bool {
	if r.found.Total >= maxRequests {
		r.found.Truncated = true
		return false
	}
	if r.ctx.Err() != nil {
		return false
	}
	r.found.Total++
	q.method = strings.ToUpper(strings.TrimSpace(q.method))
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, q.method) {
		r.skip(title(q), "an endpoint can't have the method "+clean(q.method, 20))
		return true
	}
	e, reason := newEndpoint(q, r.of)
	if reason != "" {
		r.skip(title(q), reason)
		return true
	}
	key := e.method + " " + e.baseURL + " " + e.path
	if at, known := r.seen[key]; known {
		r.built[at].merge(e)
		r.found.Total-- // it is the same operation
		return true
	}
	r.seen[key] = len(r.built)
	r.built = append(r.built, e)
	return true
}

// skip notes that a request is not offered. A title has no query, which may be a secret.
func (r *reader) skip(operation, reason string) {
	if len(r.found.Skipped) < maxSkipped {
		r.found.Skipped = append(r.found.Skipped, domain.Skipped{Operation: operation, Reason: reason})
	}
}

// done returns what was found.
func (r *reader) done() Found {
	for _, e := range r.built {
		o, reason := e.offer(r.name(e))
		if reason != "" {
			r.skip(e.method+" "+e.path, reason)
			continue
		}
		r.found.Offers = append(r.found.Offers, o)
	}
	return r.found
}

// name returns a name that no other offer has.
func (r *reader) name(e *endpoint) string {
	name := e.name
	if name == "" {
		name = strings.ToLower(e.method)
		for _, segment := range strings.Split(e.path, "/") {
			if segment, _, _ = strings.Cut(segment, "?"); segment != "" && !strings.Contains(segment, "{") {
				name += "_" + segment
			}
		}
	}
	name = identifier(name)
	r.names[name]++
	if n := r.names[name]; n > 1 {
		return identifier(name[:min(len(name), maxName-5)] + "_" + strconv.Itoa(n))
	}
	return name
}
