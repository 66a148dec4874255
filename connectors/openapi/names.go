package openapi

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// EndpointName returns s as a name that an endpoint may have.
func EndpointName(s string) string {
	name := strings.Trim(notInName.ReplaceAllString(s, "_"), "_")
	if len(name) > maxName {
		name = name[:maxName]
	}
	return name
}

// Description returns the first text that is not blank, as an endpoint may have it.
func Description(texts ...string) string {
	for _, s := range texts {
		if s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")); s != "" {
			if utf8.RuneCountInString(s) > maxDescription {
				s = string([]rune(s)[:maxDescription])
			}
			return s
		}
	}
	return ""
}
