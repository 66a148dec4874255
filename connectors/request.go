package connectors

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// build turns an endpoint and parameters into a request without credentials.
// Placeholders take their parameters first; what is left goes to the query for GET and
// DELETE, to the body otherwise.
func (c restConnector) build(_ context.Context, call domain.Call, auth *domain.Auth, params map[string]any) (*request, []domain.Problem, *callerror.Error) {
	e, base := call.Endpoint, cmp.Or(call.Endpoint.BaseURL, call.Integration.BaseURL)
	left := maps.Clone(params)
	path, problems := fillPath(e, left)
	target, failure := egress.Resolve(base, path)
	if failure != nil {
		return nil, problems, failure
	}
	out := &egress.Request{Method: e.Method, URL: target, Header: http.Header{}}
	out.Header.Set("User-Agent", c.client.UserAgent)
	out.Header.Set("Accept", c.media)
	out.Header.Set("Accept-Encoding", "gzip")
	inQuery := e.Method == http.MethodGet || e.Method == http.MethodDelete
	switch {
	case inQuery:
		fixed := target.Query()
		for _, name := range slices.Sorted(maps.Keys(left)) {
			if _, taken := fixed[name]; taken || auth != nil && auth.QueryName == name {
				problems = append(problems, paramProblem(name, "not_allowed", "is set by the endpoint and can't be a parameter"))
			}
		}
		values, wrong := toForm(left)
		problems = append(problems, wrong...)
		out.AddQuery(values)
	case e.BodyFormat == "form":
		values, wrong := toForm(left)
		problems = append(problems, wrong...)
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		out.Body = []byte(values.Encode())
	default:
		if left == nil {
			left = map[string]any{}
		}
		body, err := jsonvalue.Compact(left)
		if err != nil {
			return nil, problems, callerror.Misconfigured("The parameters can't be written as JSON.")
		}
		out.Header.Set("Content-Type", c.media)
		out.Body = []byte(body)
	}
	for name, value := range e.Headers {
		out.Header.Set(name, value)
	}
	return &request{Call: signin.Call{Request: out, BaseURL: base}}, problems, nil
}

// fillPath returns the endpoint's path with its placeholders filled, and takes
// the parameters it used out of left.
func fillPath(e domain.Endpoint, left map[string]any) (string, []domain.Problem) {
	var problems []domain.Problem
	path, query, hasQuery := strings.Cut(e.Path, "?")
	template := path
	names := e.Placeholders()
	for _, name := range names {
		v, given := left[name]
		value, ok := jsonvalue.Scalar(v)
		switch {
		case !given:
			problems = append(problems, paramProblem(name, "required", "is required: it is part of the path"))
		case !ok:
			problems = append(problems, paramProblem(name, "type", "must be a string, a number or a boolean: it is part of the path"))
		case value == "" && strings.Contains(template, "{"+name+"}"):
			problems = append(problems, paramProblem(name, "required", "must not be empty: it is part of the path"))
		case domain.HasDotSegment(value) && strings.Contains(template, "{"+name+"}"):
			problems = append(problems, paramProblem(name, "path_invalid", "must not have . or .. as a part of a path"))
		}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		query = strings.ReplaceAll(query, "{"+name+"}", url.QueryEscape(value))
	}
	for _, name := range names {
		delete(left, name)
	}
	if len(problems) == 0 {
		problems = filledDotSegments(template, path)
	}
	if hasQuery {
		path += "?" + query
	}
	return path, problems
}

// filledDotSegments returns the segments that only became . or .. by filling them, by
// their first parameters.
func filledDotSegments(template, path string) []domain.Problem {
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
		problems = append(problems, paramProblem(name, "path_invalid", "must not make . or .. of a part of the path"))
	}
	return problems
}

// toForm returns parameters as form or query values: an array repeats its key, and
// what has no such form is a problem.
func toForm(params map[string]any) (url.Values, []domain.Problem) {
	values, problems := url.Values{}, []domain.Problem(nil)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if elements, ok := params[name].([]any); ok {
			for n, element := range elements {
				one, ok := jsonvalue.Scalar(element)
				if !ok {
					problems = append(problems, paramProblem(name, "type", "must hold strings, numbers and booleans only: it travels as query or form"))
					problems[len(problems)-1].Pointer += fmt.Sprintf("/%d", n)
				}
				values.Add(name, one)
			}
			continue
		}
		one, ok := jsonvalue.Scalar(params[name])
		if !ok {
			problems = append(problems, paramProblem(name, "type", "must be a string, a number, a boolean or an array of them: it travels as query or form"))
		}
		values.Set(name, one)
	}
	return values, problems
}
