package imports

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// maxName limits the name of an endpoint or a parameter, in characters.
const maxName = 64

var notInName = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// identifier returns a text as a name that endpoints and parameters may have.
func identifier(s string) string {
	name := strings.Trim(notInName.ReplaceAllString(s, "_"), "_")
	if len(name) > maxName {
		name = strings.TrimRight(name[:maxName], "_")
	}
	if name == "" {
		return "request"
	}
	return name
}

// clean returns a text in one line, cut to a number of characters.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return jsonvalue.Abbreviate(strings.Join(strings.Fields(s), " "), limit)
}

// appendNew appends a text that is not there yet.
func appendNew(all []string, s string) []string {
	if slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}
