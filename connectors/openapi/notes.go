package openapi

import (
	"fmt"
	"slices"
)

const maxNotes = 20 // of one operation

// notes are what was simplified, for a person.
type notes struct {
	all  []string
	more int
}

func (n *notes) add(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	switch {
	case slices.Contains(n.all, note):
	case len(n.all) >= maxNotes:
		n.more++
	default:
		n.all = append(n.all, note)
	}
}

func (n *notes) list() []string {
	if n.more > 0 {
		return append(n.all, fmt.Sprintf("%d more", n.more))
	}
	return n.all
}
