package domain

import (
	"fmt"
	"regexp"
	"strings"
)

// Slot is a place in the arguments of a profile that an integration fills.
type Slot struct {
	Name    string
	Pattern *regexp.Regexp // anchored at both ends
}

// Check returns a code and a sentence if a value may not fill the slot, else "" twice.
// A value that looks like an option is always refused, whatever the pattern.
func (s Slot) Check(value string) (code, detail string) {
	if code, detail := length(1, 4096)(value); code != "" {
		return code, detail
	}
	if code, detail := noControl(value); code != "" {
		return code, detail
	}
	if strings.HasPrefix(value, "-") {
		return "pattern", "must not begin with a hyphen"
	}
	if !s.Pattern.MatchString(value) {
		return "pattern", fmt.Sprintf("does not match the profile's pattern for {%s}", s.Name)
	}
	return "", ""
}

// ArgumentProblems returns the problems of the values for the slots of a profile,
// with pointers below /mcp_args.
func ArgumentProblems(slots []Slot, values []string) []Problem {
	var problems []Problem
	problem := func(n int, code, detail string) {
		problems = append(problems, Problem{Pointer: fmt.Sprintf("/mcp_args/%d", n), Code: code, Detail: detail})
	}
	for n, value := range values {
		if n >= len(slots) {
			problem(n, "not_allowed", fmt.Sprintf("the profile takes %d arguments", len(slots)))
			continue
		}
		if code, detail := slots[n].Check(value); code != "" {
			problem(n, code, detail)
		}
	}
	for n := len(values); n < len(slots); n++ {
		problem(n, "required", fmt.Sprintf("is required: the profile's {%s}", slots[n].Name))
	}
	return problems
}
