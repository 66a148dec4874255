package domain

import (
	"regexp"
	"slices"
)

var nameSyntax = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*[a-z0-9]$`)

// reservedNames would hide a route or a built-in.
var reservedNames = []string{GoogleMaps, GoogleSearch, AmigoFHIR, "health-check", "events", "calls"}

func integrationName(s string) (string, string) {
	switch {
	case !nameSyntax.MatchString(s):
		return "pattern", "must be lowercase letters, digits, hyphens and underscores, and begin and end with a letter or digit"
	case slices.Contains(reservedNames, s):
		return "reserved", "is a reserved name"
	case uuidSyntax.MatchString(s):
		return "reserved", "must not be shaped like a UUID"
	}
	return "", ""
}
