package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// commandFlags returns the flags of each command, by its words.
func commandFlags(t *testing.T) map[string][]string {
	t.Helper()
	parser, err := kong.New(&commandLine{}, kong.Name("integrations"))
	require.NoError(t, err)
	all := map[string][]string{}
	for _, command := range parser.Model.Leaves(false) {
		flags := []string{"help"}
		for node := command; node != nil; node = node.Parent {
			for _, f := range node.Flags {
				flags = append(flags, f.Name)
			}
		}
		all[strings.TrimPrefix(command.FullPath(), "integrations ")] = flags
	}
	return all
}

var (
	flagName = regexp.MustCompile(`(?:^|[\s` + "`" + `("'|])--([a-z][a-z0-9-]+)`)
	// A command line, up to what ends it: the code, a comment, or the next command.
	commandLines = regexp.MustCompile("(?m)(?:^|`|\\| |&& |\\./)(?:\\./)?integrations ([a-z][^`|&#\n]*)")
	words        = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

var span = regexp.MustCompile("`([^`]+)`")

// codeOf returns the lines of the blocks of a shell in a document, and its spans of code.
func codeOf(document string) (code []string) {
	fence := ""
	for line := range strings.Lines(strings.ReplaceAll(document, "\\\n", " ")) {
		line = strings.TrimSuffix(line, "\n")
		switch marker, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case ok && fence == "":
			fence = "```" + marker
		case ok:
			fence = ""
		case fence == "":
			for _, found := range span.FindAllStringSubmatch(line, -1) {
				code = append(code, found[1])
			}
		case fence == "```sh" || fence == "```console":
			code = append(code, line)
		}
	}
	return code
}

// wrongFlags returns what a command line names that doesn't exist.
func wrongFlags(known map[string][]string, line string) (wrong []string) {
	fields := strings.Fields(line)
	command, flags := fields[0], known[fields[0]]
	if len(fields) > 1 && flags == nil {
		command += " " + fields[1]
		flags = known[command]
	}
	if flags == nil {
		groups := func(name string) bool { return strings.HasPrefix(name, fields[0]+" ") }
		for name := range known {
			if groups(name) && (len(fields) == 1 || !words.MatchString(fields[1])) { // "integrations keys" alone is a group
				return nil
			}
		}
		return []string{"integrations " + command}
	}
	for _, found := range flagName.FindAllStringSubmatch(line, -1) {
		if !slices.Contains(flags, found[1]) {
			wrong = append(wrong, "integrations "+command+" --"+found[1])
		}
	}
	return wrong
}

func exists(known map[string][]string, flag string) bool {
	for _, flags := range known {
		if slices.Contains(flags, flag) {
			return true
		}
	}
	return false
}

func TestEveryCommandAndFlagThatADocumentNamesExists(t *testing.T) {
	known := commandFlags(t)
	documents := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md", "CHANGELOG.md"}
	for _, folder := range []string{"docs", "docs/adr"} {
		found, err := filepath.Glob(filepath.Join("..", "..", folder, "*.md"))
		require.NoError(t, err)
		for _, file := range found {
			documents = append(documents, filepath.Join(folder, filepath.Base(file)))
		}
	}
	commands, flags := 0, 0
	for _, document := range documents {
		data, err := os.ReadFile(filepath.Join("..", "..", document))
		require.NoError(t, err)
		for _, line := range codeOf(string(data)) {
			for _, of := range commandLines.FindAllStringSubmatch(line, -1) {
				commands++
				require.Empty(t, wrongFlags(known, of[1]), "%s: %s", document, line)
			}
			if found := flagName.FindStringSubmatch(line); found != nil && strings.HasPrefix(line, "--") {
				flags++
				require.True(t, exists(known, found[1]), "%s: %s", document, line)
			}
		}
	}
	require.Greater(t, commands, 50)
	require.Greater(t, flags, 50)
}

var upper = regexp.MustCompile(`([A-Z])`)

// The flag of a text with these words must be one of the command whose file the text is in.
var again = regexp.MustCompile(`again with(?:out)? --([a-z-]+)`)

func TestEveryCommandAndFlagThatATextOfTheProgramNamesExists(t *testing.T) {
	known := commandFlags(t)
	root := filepath.Join("..", "..")
	named := 0
	// These have the flags of other programs.
	others := []string{"connectors/sandbox", "connectors/imports", "console", "internal", "test", "tools"}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(others, filepath.ToSlash(at)) || strings.HasPrefix(entry.Name(), ".") && at != "." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(at, ".go") || strings.HasSuffix(at, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		var own []string // the flags of the commands of this file
		ast.Inspect(file, func(n ast.Node) bool {
			if declared, ok := n.(*ast.TypeSpec); ok && strings.HasSuffix(declared.Name.Name, "Command") {
				name := upper.ReplaceAllString(strings.TrimSuffix(declared.Name.Name, "Command"), "-$1")
				own = append(own, known[strings.ToLower(name)]...)
			}
			return true
		})
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			if strings.Contains(text, "nats stream edit") {
				return true
			}
			for _, of := range commandLines.FindAllStringSubmatch(text, -1) {
				if strings.HasPrefix(of[0], "`") {
					named++
					require.Empty(t, wrongFlags(known, of[1]), "%s: %s", at, text)
				}
			}
			for _, found := range flagName.FindAllStringSubmatch(text, -1) {
				named++
				require.True(t, exists(known, found[1]), "%s: %s", at, text)
			}
			if found := again.FindStringSubmatch(text); found != nil && (strings.HasPrefix(at, "cmd") || strings.HasPrefix(at, "workspacefile")) {
				require.Contains(t, own, found[1], "%s: %s", at, text)
			}
			return true
		})
		return nil
	}))
	require.Greater(t, named, 50)
}
