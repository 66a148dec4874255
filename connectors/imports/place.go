package imports

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

var (
	braces     = regexp.MustCompile(`\{\{\s*([^{}]{1,64}?)\s*\}\}`)
	singleName = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_.-]{0,63})\}$`)
	angles     = regexp.MustCompile(`^<([A-Za-z_][A-Za-z0-9_ .-]{0,63})>$`)
	capitals   = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
	number     = regexp.MustCompile(`^\d+$`)
	day        = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	longHex    = regexp.MustCompile(`^[0-9a-fA-F]{16,}$`)
	prefixedID = regexp.MustCompile(`^[A-Za-z]{2,12}_[A-Za-z0-9]*\d[A-Za-z0-9]{3,}$`)
	slackID    = regexp.MustCompile(`^[A-Z][A-Z0-9]{8,11}$`)
)

// variable returns the name of the only {{variable}} that a text is, "" when it is none.
func variable(s string) string {
	if found := braces.FindString(s); found != "" && found == strings.TrimSpace(s) {
		return identifier(braces.FindStringSubmatch(s)[1])
	}
	return ""
}

// place sets the base URL and the path of an endpoint, or returns why it has none. What
// looks like an id in the path becomes a placeholder.
func (e *endpoint) place(q request, base string) string {
	where, _, _ := strings.Cut(strings.TrimSpace(q.url), "#")
	where, _, _ = strings.Cut(where, "?")
	if len(where) > maxPath {
		return "its URL is too long"
	}
	root, err := url.Parse(base)
	if err != nil || root.Host == "" {
		return "the integration has no base URL"
	}
	scheme, rest, absolute := strings.Cut(where, "://")
	if !absolute {
		scheme, rest = "", where
	}
	var host, path string
	switch name, after, isVariable := leadingVariable(rest); {
	case !absolute && isVariable: // {{baseUrl}}/things
		path = after
		e.notes = appendNew(e.notes, "{{"+name+"}} is taken for the base URL of the integration")
	case !absolute && strings.HasPrefix(rest, "/"):
		path = rest
	default:
		host, path, _ = strings.Cut(rest, "/")
		if path != "" || strings.HasSuffix(rest, "/") {
			path = "/" + path
		}
	}
	if at := strings.LastIndex(host, "@"); at >= 0 {
		e.leaveOut("the user in the URL: configure auth of type basic")
		host = host[at+1:]
	}
	if host != "" {
		if scheme == "" {
			scheme = "https"
			if strings.EqualFold(host, root.Host) {
				scheme = root.Scheme
			}
		}
		server, err := url.Parse(scheme + "://" + host)
		if err != nil || strings.ContainsAny(host, "{}") || domain.URLProblem(server.String()) != "" {
			return "its host is not one that can be called"
		}
		under, inside := strings.CutPrefix(path, strings.TrimRight(root.Path, "/"))
		switch same := domain.Origin(server.String()) == domain.Origin(base); {
		case same && inside && (under == "" || under[0] == '/'):
			path = under
		default:
			e.baseURL = server.String()
		}
	} else if under, inside := strings.CutPrefix(path, strings.TrimRight(root.Path, "/")); inside && root.Path != "" && (under == "" || under[0] == '/') && !strings.Contains(q.url, "{{") {
		path = under
	}
	e.path = e.template(path, q.values)
	return ""
}

// leadingVariable returns the variable that a text begins with, and what is behind it.
func leadingVariable(s string) (name, rest string, ok bool) {
	at := braces.FindStringSubmatchIndex(s)
	if at == nil || at[0] != 0 {
		return "", "", false
	}
	rest = s[at[1]:]
	return identifier(s[at[2]:at[3]]), rest, rest == "" || rest[0] == '/'
}

// template returns a path with placeholders in place of what differs between calls.
func (e *endpoint) template(path string, values map[string]string) string {
	segments := strings.Split(path, "/")
	before := ""
	for n, segment := range segments {
		if segment == "" {
			continue
		}
		name, example := placeholderOf(segment, before, values)
		if name == "" {
			segments[n] = escapedSegment(segment)
			before = segment
			continue
		}
		schema := map[string]any{"type": "string"}
		switch {
		case isSecret(segment) || isSecret(example):
			e.leaveOut("a part of the path that looks like a credential")
		case example != "":
			schema = scalarOf(example)
			if schema["type"] == "integer" {
				schema["type"] = []string{"integer", "string"}
			}
		}
		called := e.property(name, "path", schema)
		e.placeholder[called] = true
		e.required = append(e.required, called)
		segments[n], before = "{"+called+"}", ""
	}
	return strings.Join(segments, "/")
}

// placeholderOf returns the name of the placeholder for a segment of a path, "" when it is
// constant, and an example of its value.
func placeholderOf(segment, before string, values map[string]string) (name, example string) {
	if decoded, err := url.PathUnescape(segment); err == nil {
		segment = decoded
	}
	byBefore := func() string {
		if before = strings.TrimSuffix(identifierOrNone(before), "s"); before == "" || strings.ContainsAny(before, "{}") {
			return "id"
		}
		return before + "_id"
	}
	switch {
	case variable(segment) != "":
		return variable(segment), values[variable(segment)]
	case braces.MatchString(segment):
		return identifier(braces.FindStringSubmatch(segment)[1]), ""
	case singleName.MatchString(segment):
		return identifier(singleName.FindStringSubmatch(segment)[1]), ""
	case angles.MatchString(segment):
		return strings.ToLower(identifier(angles.FindStringSubmatch(segment)[1])), ""
	case strings.HasPrefix(segment, ":") && len(segment) > 1:
		return identifier(segment[1:]), values[segment[1:]]
	case isSecret(segment):
		return byBefore(), ""
	case number.MatchString(segment), uuid.MatchString(segment), longHex.MatchString(segment), prefixedID.MatchString(segment):
		return byBefore(), segment
	case day.MatchString(segment):
		return "date", segment
	case slackID.MatchString(segment) && strings.ContainsAny(segment, "0123456789"):
		return byBefore(), ""
	case len(segment) > 1 && capitals.MatchString(segment):
		return strings.ToLower(segment), ""
	}
	return "", ""
}

// escapedSegment returns a constant segment as a path has it, which no placeholder is in.
func escapedSegment(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil && !strings.ContainsAny(decoded, "{}") {
		return strings.ReplaceAll(s, " ", "%20")
	}
	return url.PathEscape(s)
}
