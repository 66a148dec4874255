package integrations_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// dialect is what documents, help texts and errors do not use, because the field
// has other terms: "returns", "reports", "logs" or "names" for tell and say;
// "again" for anew; "anyone who" for whoever; "unlimited" for for ever; "issued" or
// "fetched" for minted; "queues" or "partitions" for lanes; "separated by" for set
// apart by. The list is short, so that it has no false alarms.
var dialect = regexp.MustCompile(`(?i)\b(tells?|telling|told|says?|saying|said|anew|whoever|for ever|as it were|mints?|minted|minting|lanes?|set apart by)\b`)

// allowed is how many such words the strings below a folder may still have. A
// number may only be lowered.
var allowed = map[string]int{"connectors": 4}

func TestDocumentsUseTheTermsOfTheField(t *testing.T) {
	for _, name := range filesNamed(t, ".md", "") {
		if strings.HasPrefix(name, "docs/reference/") { // which is made of the strings below
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(prose(string(text)), "\n") {
			for _, word := range dialect.FindAllString(line, -1) {
				t.Errorf("%s:%d: %q: use the field's term", name, n+1, word)
			}
		}
	}
	for _, name := range []string{"transport/openapi.yaml", "transport/asyncapi.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		for _, n := range descriptions(&document) {
			for _, word := range dialect.FindAllString(n.Value, -1) {
				t.Errorf("%s:%d: %q: use the field's term", name, n.Line, word)
			}
		}
	}
}

// code is a block of code in a page, or code within a sentence.
var code = regexp.MustCompile("(?s)\n```.*?\n```\n|`[^`\n]+`")

// prose returns a page without its code, and with as many lines.
func prose(text string) string {
	return code.ReplaceAllStringFunc(text, func(c string) string { return strings.Repeat("\n", strings.Count(c, "\n")) })
}

// descriptions returns the descriptions and summaries of a document.
func descriptions(n *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	for m, child := range n.Content {
		if n.Kind == yaml.MappingNode && m%2 == 1 && child.Kind == yaml.ScalarNode &&
			slices.Contains([]string{"description", "summary", "title"}, n.Content[m-1].Value) {
			all = append(all, child)
		}
		all = append(all, descriptions(child)...)
	}
	return all
}

// Help texts, errors and log lines are strings in the code.
func TestStringsUseTheTermsOfTheField(t *testing.T) {
	files := token.NewFileSet()
	count, where := map[string]int{}, map[string]string{}
	for _, name := range goFiles(t) {
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if found := dialect.FindAllString(sentences(literal.Value), -1); len(found) > 0 {
				folder, _, _ := strings.Cut(name, "/")
				count[folder] += len(found)
				where[folder] += "\n\t" + files.Position(literal.Pos()).String() + ": " + literal.Value
			}
			return true
		})
	}
	for folder, n := range count {
		if n > allowed[folder] {
			t.Errorf("the strings in %s have %d words for which the field has other terms, and %d are allowed:%s", folder, n, allowed[folder], where[folder])
		}
	}
	for folder, n := range allowed {
		if n > count[folder] {
			t.Logf("lower the number of %s from %d to %d", folder, n, count[folder])
		}
	}
}

// sentences returns the part of a literal that people read: of the tag of a field
// its help, and nothing of a word alone, which is a name.
func sentences(literal string) string {
	if tag, ok := strings.CutPrefix(literal, "`"); ok && strings.Contains(tag, `:"`) {
		_, help, _ := strings.Cut(tag, `help:"`)
		help, _, _ = strings.Cut(help, `"`)
		return help
	}
	text, err := strconv.Unquote(literal)
	if err != nil || !strings.Contains(text, " ") {
		return ""
	}
	return text
}
