package domain

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Scope narrows what a caller can see and call in a workspace. What it hides answers as
// if it were not there. An empty list narrows nothing; the zero value is everything.
//
// In patterns, * stands for any characters.
type Scope struct {
	Integrations []string `json:"integrations,omitempty"` // patterns of names
	Tools        []string `json:"tools,omitempty"`        // patterns of an integration and of an endpoint, joined by two underscores
	Methods      []string `json:"methods,omitempty"`      // of endpoints; those of MCP have POST
	Subjects     []string `json:"subjects,omitempty"`     // patterns of the subjects to act for; "-" is the workspace itself
}

// WorkspaceSubject is what the workspace itself is called where a subject is named.
const WorkspaceSubject = "-"

// LimitsSubjects reports whether the scope is of some subjects only.
func (s Scope) LimitsSubjects() bool { return len(s.Subjects) > 0 }

// ActsFor reports whether a caller may act for a subject, "" for the workspace itself.
func (s Scope) ActsFor(subject string) bool {
	if subject == "" {
		subject = WorkspaceSubject
	}
	return !s.LimitsSubjects() || slices.ContainsFunc(s.Subjects, func(p string) bool { return coversSubject(p, subject) })
}

// ForAnySubject returns the scope without a limit of subjects.
func (s Scope) ForAnySubject() Scope {
	s.Subjects = nil
	return s
}

// NotFor is the error of a subject that a caller may not act for.
func NotFor(subject string) error {
	if subject == "" {
		return Errorf(Forbidden, "forbidden", "this API key may only act for certain subjects, and the workspace itself is not one of them: name the subject")
	}
	return Errorf(Forbidden, "forbidden", "this API key may not act for this subject")
}

// coversSubject reports whether a pattern of subjects covers a subject, or another pattern:
// a * at its end stands for any characters, and nothing else does.
func coversSubject(pattern, subject string) bool {
	prefix, isPrefix := strings.CutSuffix(pattern, "*")
	if isPrefix && subject != WorkspaceSubject {
		return strings.HasPrefix(subject, prefix)
	}
	return pattern == subject
}

// Narrow reports whether the scope hides anything.
func (s Scope) Narrow() bool { return len(s.Integrations) > 0 || s.NarrowsEndpoints() }

// NarrowsEndpoints reports whether the scope may hide some endpoints of an integration.
func (s Scope) NarrowsEndpoints() bool { return len(s.Tools) > 0 || len(s.Methods) > 0 }

// Named reports whether integrations with a name may be visible.
func (s Scope) Named(name string) bool {
	return len(s.Integrations) == 0 || slices.ContainsFunc(s.Integrations, func(p string) bool { return matches(p, name) })
}

// Shows reports whether an endpoint, by its name and method, of the integration with a
// name is visible.
func (s Scope) Shows(integration, endpoint, method string) bool {
	return s.Named(integration) && (len(s.Methods) == 0 || slices.Contains(s.Methods, method)) &&
		(len(s.Tools) == 0 || slices.ContainsFunc(s.Tools, func(p string) bool {
			of, name, _ := strings.Cut(p, toolSeparator)
			return p == ToolName(integration, endpoint) || matches(of, integration) && matches(name, endpoint)
		}))
}

// View returns an integration with its visible endpoints only, and whether it is visible.
// Where endpoints are narrowed, an integration without a visible one is hidden.
func (s Scope) View(i Integration) (Integration, bool) {
	if !s.NarrowsEndpoints() {
		return i, s.Named(i.Name)
	}
	i.Endpoints = slices.DeleteFunc(slices.Clone(i.Endpoints), func(e Endpoint) bool { return !s.Shows(i.Name, e.Name, e.Method) })
	return i, len(i.Endpoints) > 0
}

// Sees reports whether an integration is visible.
func (s Scope) Sees(i Integration) bool {
	_, visible := s.View(i)
	return visible
}

// SeesEvent reports whether an event is visible. An unreadable one, which is nil, and one
// that lacks what the scope asks for are hidden.
func (s Scope) SeesEvent(e Event) bool {
	if !s.Narrow() {
		return true
	}
	switch e := e.(type) {
	case IntegrationCreated:
		return s.Sees(e.Integration)
	case IntegrationUpdated:
		return s.Sees(e.Integration)
	case IntegrationDeleted:
		return s.Sees(Integration{Name: e.Name})
	case IntegrationInvoked:
		if e.Endpoint == "" {
			return s.Sees(Integration{Name: e.Name})
		}
		return s.Shows(e.Name, e.Endpoint, e.Method)
	case AuthorizationChanged:
		return s.Sees(Integration{Name: e.State.Name})
	case CallRequested, CallApproved, CallDenied, CallExpired, CallStarted, CallMade, CallCancelled, CallLost:
		a, _ := ApprovalOf(e)
		return s.Shows(a.Name, a.Endpoint, a.Method)
	case IntegrationProbed:
	}
	return false
}

// Within reports whether the scope shows nothing that another hides, as far as that can be
// read off their patterns.
func (s Scope) Within(other Scope) bool {
	return covered(s.Integrations, other.Integrations, matches) && covered(s.Subjects, other.Subjects, coversSubject) && covered(s.Methods, other.Methods, func(a, b string) bool { return a == b }) &&
		covered(s.Tools, other.Tools, func(p, tool string) bool {
			of, name, _ := strings.Cut(p, toolSeparator)
			toolOf, toolName, _ := strings.Cut(tool, toolSeparator)
			return p == tool || matches(of, toolOf) && matches(name, toolName)
		})
}

// covered reports whether each pattern of narrow is covered by one of wide. A * in a pattern
// is covered by a * only, so it is enough to match the text of the pattern.
func covered(narrow, wide []string, covers func(wide, narrow string) bool) bool {
	if len(wide) == 0 {
		return true
	}
	return len(narrow) > 0 && !slices.ContainsFunc(narrow, func(p string) bool {
		return !slices.ContainsFunc(wide, func(w string) bool { return covers(w, p) })
	})
}

// matches reports whether text matches a pattern in which * stands for any characters. The
// syntax of scopes excludes all other special characters, and slashes.
func matches(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}

// maxPatterns is how many patterns each list of a scope has at most.
const maxPatterns = 100

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_.*-]{1,200}$`)
	toolPattern = regexp.MustCompile(`^[A-Za-z0-9_.*-]{1,200}__[A-Za-z0-9_.*-]{1,200}$`)
	methods     = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
)

// Problems returns what is wrong with a scope, by the names of its lists.
func (s Scope) Problems() []Problem {
	var problems []Problem
	check := func(list string, values []string, right func(string) bool, detail string) {
		if len(values) > maxPatterns {
			problems = append(problems, Problem{Pointer: "/" + list, Code: "length", Detail: "must have at most " + strconv.Itoa(maxPatterns) + " elements"})
		}
		for n, v := range values {
			if !right(v) {
				problems = append(problems, Problem{Pointer: "/" + list + "/" + strconv.Itoa(n), Code: "pattern", Detail: detail})
			}
		}
	}
	check("integrations", s.Integrations, namePattern.MatchString, "must be the name of an integration, with * for any characters")
	check("tools", s.Tools, toolPattern.MatchString, "must be an integration and an endpoint joined by two underscores, with * for any characters, such as crm__get_*")
	check("subjects", s.Subjects, subjectPattern, `must be a subject, or the beginning of subjects and a *, or "-" for the workspace itself`)
	check("methods", s.Methods, func(m string) bool { return slices.Contains(methods, m) }, "must be GET, POST, PUT, PATCH or DELETE")
	return problems
}

// subjectPattern reports whether a text is a pattern of subjects.
func subjectPattern(s string) bool {
	return s != "" && len(s) <= 256 && utf8.ValidString(s) && strings.TrimSpace(s) == s && strings.Count(strings.TrimSuffix(s, "*"), "*") == 0 &&
		!strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

type scopeKey struct{}

// WithScope returns a context in which reads and calls are narrowed to a scope. It travels
// with the context, so that what is forgotten is hidden and not shown.
func WithScope(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// ScopeOf returns the scope of a context: everything, unless it has one.
func ScopeOf(ctx context.Context) Scope {
	s, _ := ctx.Value(scopeKey{}).(Scope)
	return s
}

type unsavedKey struct{}

// WithUnsaved returns a context for trying an integration that is not saved: nothing about
// it is kept.
func WithUnsaved(ctx context.Context) context.Context {
	return context.WithValue(ctx, unsavedKey{}, true)
}

// IsUnsaved reports whether WithUnsaved made a context.
func IsUnsaved(ctx context.Context) bool {
	unsaved, _ := ctx.Value(unsavedKey{}).(bool)
	return unsaved
}
