package domain

import (
	"slices"
	"strings"
)

// Select narrows what a discovery offers. A zero Select takes everything. Of each
// list one must match, and every list that is not empty must.
type Select struct {
	Search        string   // what the name, the description or the path has, without regard to case
	Tags          []string // of the operation
	Methods       []string // such as GET
	Paths         []string // as the description has them; * stands for any text
	Names         []string // of endpoints; * stands for any text
	ResourceTypes []string // of FHIR, such as Patient
	Interactions  []string // of FHIR, such as search-type
}

// Candidate is what a Select looks at.
type Candidate struct {
	Name, Description, Method, Path string
	Tags                            []string
	ResourceType, Interaction       string
}

// Matches reports whether the Select takes the candidate.
func (s Select) Matches(c Candidate) bool {
	return s.found(c) &&
		among(s.Methods, strings.EqualFold, c.Method) &&
		among(s.Names, matchesPattern, c.Name) &&
		among(s.Paths, matchesPattern, c.Path) &&
		among(s.ResourceTypes, strings.EqualFold, c.ResourceType) &&
		among(s.Interactions, strings.EqualFold, c.Interaction) &&
		(len(s.Tags) == 0 || slices.ContainsFunc(c.Tags, func(tag string) bool { return among(s.Tags, strings.EqualFold, tag) }))
}

func (s Select) found(c Candidate) bool {
	if s.Search == "" {
		return true
	}
	search := strings.ToLower(s.Search)
	return slices.ContainsFunc([]string{c.Name, c.Description, c.Path}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), search)
	})
}

func among(wanted []string, matches func(wanted, s string) bool, s string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(one string) bool { return matches(one, s) })
}

// matchesPattern reports whether s is the pattern, in which * stands for any text.
func matchesPattern(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(s, parts[0])
	if len(parts) == 1 {
		return ok && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}

const (
	maxSelected   = 200 // entries of one list of a Select
	maxSelectText = 256 // characters of one
)

// ReadSelect reads a Select from a document. Problems have JSON pointers below at.
func ReadSelect(members map[string]any, at string) (Select, []Problem) {
	var problems []Problem
	var s Select
	in := newObject(at, members, &problems)
	in.text("search", &s.Search, length(0, maxSelectText))
	for name, into := range map[string]*[]string{
		"tags": &s.Tags, "methods": &s.Methods, "paths": &s.Paths, "names": &s.Names,
		"resource_types": &s.ResourceTypes, "interactions": &s.Interactions,
	} {
		in.texts(name, into, maxSelected, length(1, 2048))
	}
	in.done()
	return s, problems
}
