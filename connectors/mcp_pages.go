package connectors

import "encoding/json"

// maxToolPages is how many pages of a list of an MCP server are asked for.
const maxToolPages = 20

// cursors are those of the pages of a list that were asked for. A server that names one again
// leads in a circle: its pages would be listed over and over.
type cursors map[string]bool

// repeat reports whether a cursor was there before, and notes it.
func (c cursors) repeat(cursor string) bool {
	again := c[cursor]
	c[cursor] = true
	return again
}

// distinct returns each of the items of a list once.
func distinct(items []any) []any {
	seen := map[string]bool{}
	once := []any{}
	for _, item := range items {
		text, _ := json.Marshal(item) // decoded JSON always encodes
		if !seen[string(text)] {
			once = append(once, item)
		}
		seen[string(text)] = true
	}
	return once
}
