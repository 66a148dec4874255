package integrations_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// literal is a code or a name in the source, with the sentence that explains it.
type literal struct{ code, status, text string }

// found is what the reference takes from the source.
type found struct{ refusals, problems, metrics []literal }

// statusOf is the HTTP status of each domain.Kind.
var statusOf = map[string]string{
	"Invalid": "422", "Unauthenticated": "401", "Forbidden": "403", "NotFound": "404", "Conflict": "409", "Stale": "412",
	"TooLarge": "413", "Unsupported": "415", "Limited": "429", "Unavailable": "503", "Internal": "500",
}

// Refusals that are answered with another status than that of their kind.
var otherStatus = map[string]string{"method_not_allowed": "405", "host_not_allowed": "421"}

var (
	isCode   = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	isMetric = regexp.MustCompile(`^integrations_[a-z0-9_]+$`)
	verb     = regexp.MustCompile(`"?%[#+-]?[a-z]"?`)
)

// literals reads every Go file of this module, tests aside.
func literals(t *testing.T) found {
	t.Helper()
	var all found
	for _, name := range goFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				all.inCall(n)
			case *ast.CompositeLit:
				all.inLiteral(n)
			}
			return true
		})
	}
	all.refusals, all.problems, all.metrics = merged(all.refusals), merged(all.problems), merged(all.metrics)
	return all
}

// inCall finds f(…, domain.Kind, "code", "sentence", …), problem(…, "code",
// "sentence") and metric("name", "help", …).
func (f *found) inCall(call *ast.CallExpr) {
	for n, arg := range call.Args {
		if status := statusOf[lastName(arg)]; status != "" && n+2 < len(call.Args) {
			code, text := stringOf(call.Args[n+1]), stringOf(call.Args[n+2])
			if isCode.MatchString(code) {
				f.refusals = append(f.refusals, literal{code, cmp.Or(otherStatus[code], status), sentence(text)})
			}
		}
	}
	if called := lastName(call.Fun); strings.EqualFold(called, "problem") && len(call.Args) >= 3 {
		if code, text := stringOf(call.Args[1]), sentence(stringOf(call.Args[2])); isCode.MatchString(code) && text != "…" {
			f.problems = append(f.problems, literal{code: code, text: text})
		}
	}
	if len(call.Args) >= 2 {
		f.metric(stringOf(call.Args[0]), stringOf(call.Args[1]))
	}
	// followerDesc puts a prefix before its name.
	if lastName(call.Fun) == "followerDesc" && len(call.Args) == 2 {
		f.metric("integrations_follower_"+stringOf(call.Args[0]), stringOf(call.Args[1]))
	}
}

// inLiteral finds Problem{Code: "code", Detail: "sentence"}, Opts{Name: "name",
// Help: "help"} and {"name", "help", …}.
func (f *found) inLiteral(l *ast.CompositeLit) {
	member := map[string]string{}
	for _, e := range l.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			member[lastName(pair.Key)] = stringOf(pair.Value)
		}
	}
	if isCode.MatchString(member["Code"]) && member["Detail"] != "" {
		f.problems = append(f.problems, literal{code: member["Code"], text: sentence(member["Detail"])})
	}
	f.metric(member["Name"], member["Help"])
	if len(l.Elts) >= 2 {
		f.metric(stringOf(l.Elts[0]), stringOf(l.Elts[1]))
	}
}

func (f *found) metric(name, help string) {
	if isMetric.MatchString(name) && help != "" {
		f.metrics = append(f.metrics, literal{code: name, text: help})
	}
}

// merged returns one literal for each code, ordered by it.
func merged(all []literal) []literal {
	slices.SortStableFunc(all, func(a, b literal) int { return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.text, b.text)) })
	var one []literal
	for _, l := range all {
		if last := len(one) - 1; last >= 0 && one[last].code == l.code {
			one[last].text = join(one[last].text, l.text, " / ")
			one[last].status = join(one[last].status, l.status, ", ")
			continue
		}
		one = append(one, l)
	}
	return one
}

func join(all, more, with string) string {
	if more == "" || slices.Contains(strings.Split(all, with), more) {
		return all
	}
	return all + with + more
}

// sentence replaces the verbs of a format.
func sentence(format string) string { return verb.ReplaceAllString(format, "…") }

// lastName returns the name of an identifier, or the last one of a selector.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// stringOf returns the string that an expression is made of: a literal, or a sum
// of literals and values.
func stringOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); e.Kind == token.STRING && err == nil {
			return text
		}
	case *ast.BinaryExpr:
		left, right := stringOf(e.X), stringOf(e.Y)
		if left != "" && right == "" {
			right = "…"
		}
		return left + right
	}
	return ""
}

// goFiles returns the Go files of this module, tests aside.
func goFiles(t *testing.T) []string {
	t.Helper()
	return filesNamed(t, ".go", "_test.go")
}

// filesNamed returns the files of this module whose names have one ending and not
// the other, which may be empty.
func filesNamed(t *testing.T, ending, not string) []string {
	t.Helper()
	var names []string
	err := walk(func(name string) error {
		if strings.HasSuffix(name, ending) && (not == "" || !strings.HasSuffix(name, not)) {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal(os.ErrNotExist)
	}
	return names
}
