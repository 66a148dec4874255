package connectors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// outgoing is a request that can be sent more than once, and shown.
type outgoing struct {
	method  string
	url     *url.URL
	header  http.Header
	body    []byte
	secrets []string // texts that nothing may show
	opened  []string // ids of the secrets among them
	hidden  []string // names of headers and query members that carry a credential
	most    int      // bytes of the answer to read; 0: maxBody

	program *sandbox.Command // what is started instead of sending; nil: nothing

	to         *upstreamState // who it goes to; nil: it doesn't count
	invocation bool           // it may be refused while the upstream keeps failing

	base     string                       // the base URL it is below
	dry      bool                         // it is only shown, so no token is asked for
	exchange http.Header                  // what the exchange of a token is told of the call
	resolved string                       // how its token was had, for a person
	renew    func(context.Context) *fault // puts a fresh token on it; nil where there is no token
	asserts  bool                         // it carries an assertion, which a clock may spoil
}

// hideHeader sets a header that carries a credential.
func (o *outgoing) hideHeader(name, value string, secrets ...string) {
	o.header.Set(name, value)
	o.hidden = append(o.hidden, http.CanonicalHeaderKey(name))
	o.secrets = append(o.secrets, secrets...)
}

// hideQuery adds a query member that carries a credential. As it is encoded it
// is a secret of its own: its base64 is another.
func (o *outgoing) hideQuery(name, value string) {
	addQuery(o.url, url.Values{name: {value}})
	o.hidden = append(o.hidden, name)
	o.secrets = append(o.secrets, value, url.QueryEscape(value))
}

// request returns the request to send once.
func (o *outgoing) request(ctx context.Context) (*http.Request, *fault) {
	var body io.Reader
	if o.body != nil {
		body = bytes.NewReader(o.body)
	}
	r, err := http.NewRequestWithContext(ctx, o.method, o.url.String(), body)
	if err != nil {
		return nil, misconfigured("The URL of this endpoint can't be called.")
	}
	for name, values := range o.header {
		if slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return nil, misconfigured("The header %s has a character that no header can carry, such as a line break.", name)
		}
	}
	r.Header = o.header.Clone()
	return r, nil
}

// shown returns the request as it is sent, with a mask wherever the service put a
// credential. The caller's own values are shown as they are: were one that equals
// a secret scrub.Mask as well, that would tell who guesses that it does.
func (o *outgoing) shown() domain.CallRequest {
	headers := o.header.Clone()
	target := *o.url
	var members []string
	if target.RawQuery != "" {
		members = strings.Split(target.RawQuery, "&")
	}
	for _, name := range o.hidden {
		if headers[name] != nil {
			headers[name] = []string{scrub.Mask}
		}
		for n, member := range members {
			if key, _, _ := strings.Cut(member, "="); key == url.QueryEscape(name) {
				members[n] = key + "=" + scrub.Mask
			}
		}
	}
	target.RawQuery = ""
	whole := target.String()
	if len(members) > 0 {
		whole += "?" + strings.Join(members, "&")
	}
	return domain.CallRequest{Method: o.method, URL: whole, Headers: headers, Body: jsonvalue.Text(o.body)}
}

// build turns an endpoint and parameters into a request without credentials.
// Placeholders take their parameters first; what is left goes to the query for
// GET and DELETE, to the body otherwise. Media is the type of JSON spoken.
func build(base string, auth *domain.Auth, e domain.Endpoint, params map[string]any, agent, media string) (*outgoing, []domain.Problem, *fault) {
	left := maps.Clone(params)
	path, problems := fillPath(e, left)
	target, f := below(base, path)
	if f != nil {
		return nil, problems, f
	}
	out := &outgoing{method: e.Method, url: target, base: base, header: http.Header{}}
	out.header.Set("User-Agent", agent)
	out.header.Set("Accept", media)
	out.header.Set("Accept-Encoding", "gzip")
	inQuery := e.Method == http.MethodGet || e.Method == http.MethodDelete
	switch {
	case inQuery:
		fixed := target.Query()
		for _, name := range slices.Sorted(maps.Keys(left)) {
			if _, taken := fixed[name]; taken || auth != nil && auth.QueryName == name {
				problems = append(problems, paramProblem(name, "not_allowed", "is set by the endpoint and can't be a parameter"))
			}
		}
		values, wrong := flat(left)
		problems = append(problems, wrong...)
		addQuery(target, values)
	case e.BodyFormat == "form":
		values, wrong := flat(left)
		problems = append(problems, wrong...)
		out.header.Set("Content-Type", "application/x-www-form-urlencoded")
		out.body = []byte(values.Encode())
	default:
		if left == nil {
			left = map[string]any{}
		}
		body, err := jsonvalue.Compact(left)
		if err != nil {
			return nil, problems, misconfigured("The parameters can't be written as JSON.")
		}
		out.header.Set("Content-Type", media)
		out.body = []byte(body)
	}
	for name, value := range e.Headers {
		out.header.Set(name, value)
	}
	return out, problems, nil
}

// fillPath returns the endpoint's path with its placeholders filled, and takes
// the parameters it used out of left.
func fillPath(e domain.Endpoint, left map[string]any) (string, []domain.Problem) {
	var problems []domain.Problem
	path, query, hasQuery := strings.Cut(e.Path, "?")
	template := path
	names := e.Parameters()
	for _, name := range names {
		v, given := left[name]
		value, ok := scalar(v)
		switch {
		case !given:
			problems = append(problems, paramProblem(name, "required", "is required: it is part of the path"))
		case !ok:
			problems = append(problems, paramProblem(name, "type", "must be a string, a number or a boolean: it is part of the path"))
		case value == "" && strings.Contains(template, "{"+name+"}"):
			problems = append(problems, paramProblem(name, "required", "must not be empty: it is part of the path"))
		case walks(value) && strings.Contains(template, "{"+name+"}"):
			problems = append(problems, paramProblem(name, "path_invalid", "must not have . or .. as a part of a path"))
		}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
		query = strings.ReplaceAll(query, "{"+name+"}", url.QueryEscape(value))
	}
	for _, name := range names {
		delete(left, name)
	}
	if len(problems) == 0 {
		problems = walking(template, path)
	}
	if hasQuery {
		path += "?" + query
	}
	return path, problems
}

// walks reports whether a value has . or .. between slashes of either kind,
// which a server that decodes too early would follow.
func walks(value string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(value, func(r rune) bool { return r == '/' || r == '\\' }),
		func(part string) bool { return part == "." || part == ".." })
}

// walking finds the segments that only became . or .. by filling them, and
// names their first parameter.
func walking(template, path string) []domain.Problem {
	var problems []domain.Problem
	before := strings.Split(template, "/")
	for n, segment := range strings.Split(path, "/") {
		if segment != "." && segment != ".." {
			continue
		}
		_, name, filled := strings.Cut(before[n], "{")
		if name, _, _ = strings.Cut(name, "}"); !filled {
			continue // no parameter's doing: below refuses it
		}
		problems = append(problems, paramProblem(name, "path_invalid", "must not make . or .. of a part of the path"))
	}
	return problems
}

// below returns the URL of path under base, and makes sure that it is there: at
// the same origin, under the same path.
func below(base, path string) (*url.URL, *fault) {
	root, err := url.Parse(base)
	if err != nil || root.Host == "" || root.Scheme != "http" && root.Scheme != "https" || root.User != nil {
		return nil, misconfigured("The base URL of this integration is not set, or is not an http or https URL.")
	}
	prefix := strings.TrimRight(root.EscapedPath(), "/")
	whole := (&url.URL{Scheme: root.Scheme, Host: root.Host}).String()
	switch {
	case path == "" || path[0] == '?':
		whole += root.EscapedPath() + path
	default:
		whole += prefix + "/" + strings.TrimLeft(path, "/")
	}
	target, err := url.Parse(whole)
	outside := misconfigured("The path of this endpoint leads away from its base URL.")
	if err != nil || domain.Origin(whole) != domain.Origin(base) || target.User != nil || target.Fragment != "" || walks(target.Path) {
		return nil, outside
	}
	if tail, ok := strings.CutPrefix(target.EscapedPath(), prefix); !ok || tail != "" && tail[0] != '/' {
		return nil, outside
	}
	return target, nil
}

// flat returns parameters as form or query values: an array repeats its key, and
// what has no such form is a problem.
func flat(params map[string]any) (url.Values, []domain.Problem) {
	values, problems := url.Values{}, []domain.Problem(nil)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if elements, ok := params[name].([]any); ok {
			for n, element := range elements {
				one, ok := scalar(element)
				if !ok {
					problems = append(problems, paramProblem(name, "type", "must hold strings, numbers and booleans only: it travels as query or form"))
					problems[len(problems)-1].Pointer += fmt.Sprintf("/%d", n)
				}
				values.Add(name, one)
			}
			continue
		}
		one, ok := scalar(params[name])
		if !ok {
			problems = append(problems, paramProblem(name, "type", "must be a string, a number, a boolean or an array of them: it travels as query or form"))
		}
		values.Set(name, one)
	}
	return values, problems
}

// addQuery adds values behind the query that u has, which stays as it is.
func addQuery(u *url.URL, values url.Values) {
	if len(values) == 0 {
		return
	}
	if u.RawQuery != "" && !strings.HasSuffix(u.RawQuery, "&") {
		u.RawQuery += "&"
	}
	u.RawQuery += values.Encode()
}
