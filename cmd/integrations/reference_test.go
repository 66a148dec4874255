package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/reference/commands.md instead of comparing it")

// The flags of the stores and of the log are listed once, not with each command.
var inStores = []string{"data", "nats-url", "nats-creds", "nats-monitor-url", "allow-lazy-sync", "replicas", "mongodb-uri", "mongodb-database", "root-keyset"}

func TestReferenceOfCommands(t *testing.T) {
	parser, err := kong.New(&commandLine{}, kong.Name("integrations"), kong.DefaultEnvars("INTEGRATIONS"))
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("<!-- Generated from the command line by `go test . ./cmd/integrations -run Reference -update`. Do not edit. -->\n\n" +
		"# Commands and flags\n\n" +
		"`integrations <command> --help` shows the same. Every flag can also be set in the environment; a list is separated by commas.\n" +
		"Pass secrets in the environment: other users of the machine can read the flags of a process.\n")

	var serve *kong.Node
	for _, command := range parser.Model.Leaves(true) {
		if command.Path() == "serve" || command.FullPath() == "integrations serve" {
			serve = command
		}
	}
	require.NotNil(t, serve)
	b.WriteString("\n## All commands\n")
	writeFlags(&b, parser.Model.Node.Flags, nil)
	b.WriteString("\n## Stores\n\nEvery command that reads or writes what the service keeps has these flags. Give them the same values as `serve` has.\n")
	writeFlags(&b, serve.Flags, func(name string) bool { return isStore(name) })
	for _, command := range parser.Model.Leaves(true) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```sh\n%s\n```\n", strings.TrimPrefix(command.FullPath(), "integrations "), command.Help, flagUsage(command))
		for _, argument := range command.Positional {
			fmt.Fprintf(&b, "\n- `<%s>`: %s\n", argument.Name, oneLine(argument.Help))
		}
		writeFlags(&b, command.Flags, func(name string) bool { return !isStore(name) })
	}

	file := filepath.Join("..", "..", "docs", "reference", "commands.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
		return
	}
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, string(written) == b.String(), "docs/reference/commands.md differs from the flags; run: go test . ./cmd/integrations -run Reference -update")
}

func isStore(name string) bool {
	for _, store := range inStores {
		if store == name {
			return true
		}
	}
	return false
}

// writeFlags writes a table of the flags whose names want accepts; nil accepts all.
func writeFlags(b *strings.Builder, flags []*kong.Flag, want func(name string) bool) {
	var rows []string
	for _, f := range flags {
		if f.Hidden || f.Name == "help" || want != nil && !want(f.Name) {
			continue
		}
		value := f.Default
		switch {
		case f.Required && len(f.Xor) > 0:
			value = "one of these is required"
		case f.Required:
			value = "required"
		case value != "":
			value = "`" + value + "`"
		}
		rows = append(rows, fmt.Sprintf("| `--%s` | `%s` | %s | %s |\n", f.Name, strings.Join(f.Envs, "`, `"), value, oneLine(f.Help)))
	}
	if len(rows) > 0 {
		b.WriteString("\n| flag | environment | default | what it does |\n|---|---|---|---|\n" + strings.Join(rows, ""))
	}
}

// usage is the command with its arguments and without its flags.
func flagUsage(command *kong.Node) string {
	return "integrations " + strings.TrimPrefix(noFlags.ReplaceAllString(command.Summary(), ""), "integrations ") + " [flags]"
}

var noFlags = regexp.MustCompile(` \[flags\]| --\S+`)

// oneLine returns text for a cell of a table.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
