package domain

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxCaptured is the most bytes of a captured value.
const maxCaptured = 1024

var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// patterns returns the URLs that a template stands for, as far as their origins go: one for
// each host that its capture may have. A host of one label and more is *.name.
func (a *Auth) patterns(template string) []string {
	name, scheme, rest := hostCapture(template)
	if name == "" || a == nil {
		return []string{template}
	}
	var all []string
	for _, host := range a.Capture[name].Hosts {
		switch {
		case scheme != "":
			all = append(all, scheme+"://"+host+rest)
		case SecureURL("http://" + host):
			all = append(all, "https://"+host+rest, "http://"+host+rest)
		default:
			all = append(all, "https://"+host+rest)
		}
	}
	return all
}

// allPatterns is patterns for several templates.
func (a *Auth) allPatterns(templates []string) []string {
	var all []string
	for _, template := range templates {
		all = append(all, a.patterns(template)...)
	}
	return all
}

// SameOrigin reports whether an origin is the one that a pattern names: the same, or with
// one label in the place of a * at its beginning.
func SameOrigin(pattern, origin string) bool {
	if pattern == origin {
		return origin != ""
	}
	scheme, host, ok := strings.Cut(pattern, "://*.")
	got, isScheme := strings.CutPrefix(origin, scheme+"://")
	label, parent, hasParent := strings.Cut(got, ".")
	return ok && isScheme && hasParent && parent == host && hostLabel.MatchString(label)
}

// takes reports whether a host, or an origin of https, is one that the capture may be. It
// returns it in lower case, without a slash at its end.
func (c Capture) takes(value string) (string, bool) {
	if strings.ContainsAny(value, "?#") { // an empty query or fragment too would hide the path behind it
		return "", false
	}
	value = strings.ToLower(strings.TrimSuffix(value, "/"))
	origins := []string{value}
	if !strings.Contains(value, "://") {
		origins = []string{"https://" + value, "http://" + value}
	}
	for _, one := range origins {
		u, err := url.Parse(one)
		if err != nil || u.User != nil || u.Path+u.RawQuery+u.Fragment != "" || strings.Contains(u.Host, "*") || u.Host == "" || u.Host != strings.Trim(u.Host, ".") || !SecureURL(one) {
			continue
		}
		if slices.ContainsFunc(c.Hosts, func(p string) bool { return SameOrigin(Origin(u.Scheme+"://"+p), Origin(one)) }) {
			return value, true
		}
	}
	return "", false
}

// Take returns a value as it is kept, and whether it can be: it has no control characters
// and no braces, and where the capture names hosts it is one of them.
func (c Capture) Take(value string) (string, bool) {
	if value == "" || len(value) > maxCaptured || strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '{' || r == '}' }) || strings.TrimSpace(value) != value {
		return "", false
	}
	if len(c.Hosts) > 0 {
		return c.takes(value)
	}
	return value, true
}
