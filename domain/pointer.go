package domain

import (
	"strconv"
	"strings"
)

// EscapePointer escapes the name of a member for a JSON pointer (RFC 6901, 3).
func EscapePointer(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// UnescapePointer is the reverse of EscapePointer.
func UnescapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// PointedChild returns the member or the element of decoded JSON that a token of a JSON
// pointer leads to (RFC 6901, 4), and whether there is one.
func PointedChild(parent any, token string) (child any, found bool) {
	switch parent := parent.(type) {
	case map[string]any:
		child, found = parent[UnescapePointer(token)]
	case []any:
		if n, err := strconv.Atoi(token); err == nil && n >= 0 && n < len(parent) {
			return parent[n], true
		}
	}
	return child, found
}
