package domain

import (
	"fmt"
	"strings"
)

// UnknownMember returns the problem of a member that an object doesn't have. It
// suggests the nearest of the names that the object has, if one is near.
func UnknownMember(pointer, name string, names []string) Problem {
	return Problem{Pointer: pointer, Code: "unknown_member", Detail: "there is no such member here" + Suggestion(name, names)}
}

// Suggestion returns "; did you mean x?" with the name that was most likely meant, or
// nothing where no name is near.
func Suggestion(name string, names []string) string {
	best, distance := "", min(len(name)/3+2, maxCompared)
	for _, candidate := range names {
		d := editDistance(strings.ToLower(name), candidate)
		if containsWords(candidate, name) || containsWords(name, candidate) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// containsWords reports whether the words of part, separated by underscores, are
// consecutive words of name, as in header_name and header.
func containsWords(name, part string) bool {
	return part != "" && strings.Contains("_"+name+"_", "_"+strings.ToLower(part)+"_")
}

// maxCompared bounds the names that are compared: a longer one is no misspelling.
const maxCompared = 64

// editDistance returns how many letters must be inserted, removed, replaced or
// swapped with the next one to turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
