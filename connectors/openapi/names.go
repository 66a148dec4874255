package openapi

import (
	"regexp"
	"strings"
)

const (
	maxName        = 128                // characters of an endpoint's name
	maxDescription = 1024               // characters of a description: what every provider of models takes
	maxRead        = 4 * maxDescription // bytes of a text that are looked at
)

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// EndpointName returns s as a name that an endpoint may have, "" when nothing is left.
func EndpointName(s string) string {
	name := strings.Trim(notInName.ReplaceAllString(s[:min(len(s), maxRead)], "_"), "_")
	if len(name) > maxName {
		name = name[:maxName]
	}
	return name
}

// Description returns the first text that is not blank, as an endpoint may have it.
func Description(texts ...string) string {
	for _, s := range texts {
		if s = strings.TrimSpace(strings.ToValidUTF8(s[:min(len(s), maxRead)], "\uFFFD")); s != "" {
			return shorten(s, maxDescription)
		}
	}
	return ""
}

// shorten returns the first characters of s, up to a limit; … stands for the rest.
func shorten(s string, limit int) string {
	n, last := 0, 0
	for at := range s {
		if n++; n == limit {
			last = at
		}
		if n > limit {
			return strings.TrimSpace(s[:last]) + "…"
		}
	}
	return s
}
