package connectors

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/serialization"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// build turns an endpoint and parameters into a request without credentials.
func (c restConnector) build(_ context.Context, call domain.Call, auth *domain.Auth, params map[string]any) (*request, []domain.Problem, *callerror.Error) {
	e, base := call.Endpoint, cmp.Or(call.Endpoint.BaseURL, call.Integration.BaseURL)
	left := maps.Clone(params)
	headers := fillHeaders(e, left)
	path, problems := fillPath(e, left)
	problems = append(problems, headers.problems...)
	takePlaced(e, left, headers.used)
	target, failure := egress.Resolve(base, path)
	if failure != nil {
		return nil, problems, failure
	}
	out := &egress.Request{Method: e.Method, URL: target, Header: http.Header{}}
	out.Header.Set("User-Agent", c.client.UserAgent)
	out.Header.Set("Accept", c.media)
	out.Header.Set("Accept-Encoding", "gzip")
	signin.SetPlainHeaders(out.Header, call.Integration)
	placed, wrong := placeParameters(e, left)
	if c.media == fhirJSON && e.Method == http.MethodPut {
		placed = placed.withID(params)
	}
	problems = append(problems, wrong...)
	problems = append(problems, taken(placed.query, target.Query(), auth)...)
	out.AppendQuery(serialization.Encode(placed.members()))
	if placed.hasBody {
		var mediaType string
		var err error
		if out.Body, mediaType, wrong, err = placed.body(e, c.media); err != nil {
			return nil, problems, callerror.Misconfigured("The parameters can't be written as a body.")
		}
		problems = append(problems, wrong...)
		out.Header.Set("Content-Type", mediaType)
	}
	for name, value := range placed.header {
		out.Header.Set(name, value)
	}
	if len(placed.cookies) > 0 {
		out.Header.Set("Cookie", strings.Join(placed.cookies, "; "))
	}
	for name, value := range headers.filled {
		if name != "Content-Type" || !strings.HasPrefix(out.Header.Get(name), "multipart/") {
			out.Header.Set(name, value)
		}
	}
	return &request{Call: signin.Call{Request: out, BaseURL: base}}, problems, nil
}

// takePlaced removes the parameters that are in the path or in a header, unless they are
// listed with another place.
func takePlaced(e domain.Endpoint, params map[string]any, inHeaders []string) {
	names := slices.Clone(inHeaders)
	for _, placeholder := range e.Placeholders() {
		names = append(names, e.Property(placeholder))
	}
	for _, name := range names {
		if p, listed := e.Parameters[name]; !listed || p.In == domain.InPath {
			delete(params, name)
		}
	}
}

// maxFilled is the most bytes of a filled path, or of a filled header. Servers take less.
const maxFilled = 64 << 10

// fill puts value in the place of each placeholder, unless that makes template too long.
func fill(template, placeholder, value string) (filled string, fits bool) {
	if len(template)+strings.Count(template, placeholder)*len(value) > maxFilled {
		return template, false
	}
	return strings.ReplaceAll(template, placeholder, value), true
}

// taken returns the problems of members of the query that the endpoint, or auth, sets.
func taken(query map[string][]serialization.Member, fixed url.Values, auth *domain.Auth) []domain.Problem {
	var problems []domain.Problem
	for _, property := range slices.Sorted(maps.Keys(query)) {
		for _, m := range query[property] {
			if _, set := fixed[m.Name]; set || auth.HasQuery(m.Name) {
				problems = append(problems, paramProblem(property, "not_allowed", "is set by the endpoint and can't be a parameter"))
			}
		}
	}
	return problems
}

// fillPath returns the endpoint's path with its placeholders filled.
func fillPath(e domain.Endpoint, params map[string]any) (string, []domain.Problem) {
	var problems []domain.Problem
	path, query, hasQuery := strings.Cut(e.PlainPath(), "?")
	template := path
	for _, placeholder := range e.Placeholders() {
		name := e.Property(placeholder)
		v := params[name]
		inPath := strings.Contains(template, "{"+placeholder+"}")
		part, texts, misfits := serialization.Path(placeholder, v, e.Parameters[name])
		value := strings.Join(texts, "")
		switch {
		case v == nil:
			problems = append(problems, paramProblem(name, "required", "is required: it is part of the path"))
		case misfits != nil:
			problems = append(problems, misfit(name, misfits)...)
		case value == "" && inPath:
			problems = append(problems, paramProblem(name, "required", "must not be empty: it is part of the path"))
		case inPath && slices.ContainsFunc(texts, domain.HasDotSegment):
			problems = append(problems, paramProblem(name, "path_invalid", "must not have . or .. as a part of a path"))
		}
		var pathFits, queryFits bool
		path, pathFits = fill(path, "{"+placeholder+"}", part)
		query, queryFits = fill(query, "{"+placeholder+"}", url.QueryEscape(strings.Join(texts, ",")))
		if !pathFits || !queryFits {
			problems = append(problems, paramProblem(name, "too_long", "makes the URL too long"))
		}
	}
	if len(problems) == 0 {
		problems = filledDotSegments(e, template, path)
	}
	if hasQuery {
		path += "?" + query
	}
	return path, problems
}

// filledHeaders are the headers of an endpoint.
type filledHeaders struct {
	filled   map[string]string
	used     []string // the parameters in them
	problems []domain.Problem
}

// fillHeaders fills the placeholders in the headers of an endpoint. A header whose
// placeholder has no value is left out.
func fillHeaders(e domain.Endpoint, params map[string]any) filledHeaders {
	h := filledHeaders{filled: maps.Clone(e.Headers), used: e.HeaderPlaceholders()}
	for _, name := range h.used {
		v := params[name]
		value, ok := jsonvalue.Scalar(v)
		if v != nil && !ok {
			h.problems = append(h.problems, paramProblem(name, "type", "must be a string, a number or a boolean: it is part of a header"))
		}
		if v != nil && !httpguts.ValidHeaderFieldValue(value) {
			h.problems = append(h.problems, paramProblem(name, "header_invalid", notInHeader))
		}
		for header, template := range h.filled {
			switch placeholder := "{" + name + "}"; {
			case !strings.Contains(template, placeholder):
			case v == nil:
				delete(h.filled, header)
			default:
				var fits bool
				if h.filled[header], fits = fill(template, placeholder, value); !fits {
					h.problems = append(h.problems, paramProblem(name, "too_long", "makes a header too long"))
				}
			}
		}
	}
	return h
}

const notInHeader = "must not have control characters: it travels in a header"

// filledDotSegments returns the segments that only became . or .. by filling them, by
// their first parameters.
func filledDotSegments(e domain.Endpoint, template, path string) []domain.Problem {
	var problems []domain.Problem
	unfilled := strings.Split(template, "/")
	for n, segment := range strings.Split(path, "/") {
		if segment != "." && segment != ".." {
			continue
		}
		_, name, filled := strings.Cut(unfilled[n], "{")
		if name, _, _ = strings.Cut(name, "}"); !filled {
			continue // by no parameter: egress.Resolve refuses it
		}
		problems = append(problems, paramProblem(e.Property(name), "path_invalid", "must not make . or .. of a part of the path"))
	}
	return problems
}
