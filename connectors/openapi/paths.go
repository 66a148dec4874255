package openapi

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

var (
	placeholder   = regexp.MustCompile(`\{([^{}]*)\}`)
	notInPathName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)
)

const (
	placeholderRoom = 128  // characters of its name
	maxPath         = 4096 // bytes of a path that is looked at; an endpoint has at most 2048
)

// template returns a path as an endpoint may have it, and the names of its
// placeholders in the document by their names there.
func template(path string) (made string, names map[string]string, notes []string, problem string) {
	if len(path) > maxPath {
		return "", nil, nil, "its path is too long"
	}
	if before, fragment, cut := strings.Cut(path, "#"); cut {
		path = before
		notes = append(notes, fmt.Sprintf("#%s is left out of the path: a fragment never travels", jsonvalue.Abbreviate(fragment, 100)))
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	names, taken := map[string]string{}, map[string]int{}
	var b strings.Builder
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(path, -1) {
		original := path[at[2]:at[3]]
		b.WriteString(strings.ReplaceAll(path[last:at[0]], " ", "%20"))
		last = at[1]
		name := ""
		for known, as := range names {
			if as == original {
				name = known
			}
		}
		if name == "" {
			plain := strings.Trim(notInPathName.ReplaceAllString(original, "_"), "_")
			plain = free(taken, cmpText(plain[:min(len(plain), placeholderRoom)], "value"), placeholderRoom)
			name = plain
			names[name] = original
		}
		b.WriteString("{" + name + "}")
	}
	b.WriteString(strings.ReplaceAll(path[last:], " ", "%20"))
	if made = b.String(); strings.ContainsAny(placeholder.ReplaceAllString(made, ""), "{}") {
		return "", nil, nil, "its path has a brace that is not part of a placeholder"
	}
	return made, names, notes, ""
}

func cmpText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
