package domain

import (
	"regexp"
	"strings"
)

// accountPrefix begins the placeholders that are filled with captured values.
const accountPrefix = "account."

var accountSyntax = regexp.MustCompile(`\{account\.([A-Za-z0-9_.-]*)\}`)

// accountNames returns the names of the captured values in a template.
func accountNames(template string) []string {
	var names []string
	for _, match := range accountSyntax.FindAllStringSubmatch(template, -1) {
		names = append(names, match[1])
	}
	return names
}

// UsesAccount reports whether a template has a placeholder for a captured value.
func UsesAccount(template string) bool { return accountSyntax.MatchString(template) }

// hostCapture returns the capture that is the whole host or the whole origin of a URL
// template, "" when that has a host of its own, with the scheme before it, if there is one,
// and what follows it.
func hostCapture(template string) (name, scheme, rest string) {
	scheme, after, hasScheme := strings.Cut(template, "://")
	if !hasScheme || UsesAccount(scheme) {
		scheme, after = "", template
	}
	at := accountSyntax.FindStringSubmatchIndex(after)
	if at == nil || at[0] != 0 {
		return "", "", ""
	}
	rest = after[at[1]:]
	if rest != "" && rest[0] != '/' && rest[0] != '?' {
		return "", "", ""
	}
	return after[at[2]:at[3]], scheme, rest
}

// HasAccountHost reports whether the host of a URL template is a captured value.
func HasAccountHost(template string) bool {
	name, _, _ := hostCapture(template)
	return name != ""
}
