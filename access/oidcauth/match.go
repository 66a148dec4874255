package oidcauth

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// Claims are the members of a verified token.
type Claims map[string]any

// condition is what a claim must match: one of its values, one of the patterns.
type condition struct {
	claim    string
	patterns []*regexp.Regexp // with a group for each *, the same number in all
	literals []string         // the patterns without one
}

// compile returns the expression for a pattern in which * stands for any characters.
func compile(pattern string) *regexp.Regexp {
	parts := strings.Split(pattern, "*")
	for n, part := range parts {
		parts[n] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`\A(?s:` + strings.Join(parts, `(.*)`) + `)\z`)
}

// means reports whether a value of the claim matches.
func (c condition) means(value string) bool {
	return slices.ContainsFunc(c.patterns, func(p *regexp.Regexp) bool { return p.MatchString(value) })
}

func (c condition) stars() int {
	if len(c.patterns) == 0 {
		return 0
	}
	return c.patterns[0].NumSubexp()
}

// ofScopes reports whether the claim has the scopes of a token.
func (c condition) ofScopes() bool { return c.claim == "scope" || c.claim == "scp" }

func stars(all []condition) (n int) {
	for _, c := range all {
		n += c.stars()
	}
	return n
}

// match returns, for each value of the claim that matches, what its * stand for.
func (c condition) match(claims Claims) (found [][]string) {
	for _, value := range claims.values(c.claim) {
		for _, p := range c.patterns {
			if groups := p.FindStringSubmatch(value); groups != nil {
				found = append(found, groups[1:])
				break
			}
		}
	}
	return found
}

// The bounds of one token.
const (
	maxWorkspaces   = 1000
	maxCombinations = 10_000
)

// scope returns the scope of the grant for some subjects.
func (g Grant) scope(subjects []string) domain.Scope {
	s := g.Scope
	s.Subjects = subjects
	return s
}

// given is what a grant gives to claims.
type given struct {
	workspaces []domain.Workspace
	subjects   []string // nil: all
}

// match returns what the grant gives to claims, and whether it matches them: whether it gives at
// least one workspace, and one subject if it limits them. Where nothing but a scope is missing for
// that, it returns the scope.
func (g Grant) match(claims Claims) (got given, ok bool, scope string) {
	found := make([][][]string, len(g.when))
	missing := 0
	for n, c := range g.when {
		if found[n] = c.match(claims); found[n] != nil {
			continue
		}
		if missing++; missing == 1 && c.ofScopes() && len(c.literals) > 0 {
			scope = c.literals[0]
			continue
		}
		return given{}, false, ""
	}
	if missing > 0 {
		return given{}, false, scope
	}
	if got.subjects = g.subjectsOf(found); g.subjects != nil && len(got.subjects) == 0 {
		return given{}, false, ""
	}
	if g.Everywhere {
		return got, true, ""
	}
	for _, template := range g.Workspaces {
		for name := range fillings(template, found) {
			// What a claim holds may be no workspace.
			if w, err := domain.ParseWorkspace(name); err == nil && !slices.Contains(got.workspaces, w) {
				got.workspaces = append(got.workspaces, w)
			}
			if len(got.workspaces) == maxWorkspaces {
				return got, true, ""
			}
		}
	}
	return got, len(got.workspaces) > 0, ""
}

// subjectsOf returns the subjects of the grant, for what the * of its conditions stand for. What a
// claim holds never becomes a pattern, nor the workspace itself.
func (g Grant) subjectsOf(found [][][]string) []string {
	var all []string
	for _, template := range g.subjects {
		for subject := range fillings(template, found) {
			s := domain.Scope{Subjects: []string{subject}}
			isOwn := subject != template && (strings.Count(subject, "*") > strings.Count(template, "*") || subject == domain.WorkspaceSubject || subject == "*")
			if !isOwn && len(s.Problems()) == 0 && !slices.Contains(all, subject) {
				all = append(all, subject)
			}
			if len(all) == maxPatterns {
				return all
			}
		}
	}
	return all
}

// fillings returns a template with its placeholders filled from each combination of what
// the * of the conditions stand for. A condition that it does not refer to is left out.
func fillings(template string, found [][][]string) iter.Seq[string] {
	var refers [][][]string // found, of the conditions that the template refers to
	place := map[string][2]int{}
	count := 0
	for _, values := range found {
		used := false
		for k := range values[0] {
			count++
			if p := "{" + strconv.Itoa(count) + "}"; strings.Contains(template, p) {
				place[p] = [2]int{len(refers), k}
				used = true
			}
		}
		if used {
			refers = append(refers, values)
		}
	}
	return func(yield func(string) bool) {
		chosen := make([]int, len(refers))
		for range maxCombinations {
			if !yield(placeholder.ReplaceAllStringFunc(template, func(p string) string {
				at := place[p]
				return refers[at[0]][chosen[at[0]]][at[1]]
			})) {
				return
			}
			n := 0
			for ; n < len(chosen); n++ { // the next combination
				if chosen[n]++; chosen[n] < len(refers[n]) {
					break
				}
				chosen[n] = 0
			}
			if n == len(chosen) {
				return
			}
		}
	}
}

// values returns the values of a claim as texts. The name is that of a member, or the path
// to one with dots between, such as realm_access.roles. A scope is a list (RFC 6749, 3.3).
func (c Claims) values(name string) []string {
	value, ok := lookup(c, name)
	if !ok {
		return nil
	}
	if text, isText := value.(string); isText && (condition{claim: name}).ofScopes() {
		return strings.Fields(text)
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	var all []string
	for _, one := range list {
		switch one := one.(type) {
		case string:
			all = append(all, one)
		case json.Number:
			all = append(all, one.String())
		case bool:
			all = append(all, strconv.FormatBool(one))
		}
	}
	return all
}

func lookup(object map[string]any, name string) (any, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	for at, r := range name {
		if r != '.' {
			continue
		}
		if inner, ok := object[name[:at]].(map[string]any); ok {
			if value, ok := lookup(inner, name[at+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// names lists the claims by name, for the owner of the token. No value is shown.
func (c Claims) names() string {
	const most = 40
	var all []string
	for name := range c {
		if len(name) > 100 {
			name = name[:100] + "…"
		}
		all = append(all, strconv.Quote(name))
	}
	slices.Sort(all)
	if len(all) > most {
		all = append(all[:most], "…")
	}
	return strings.Join(all, ", ")
}
