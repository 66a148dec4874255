package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/seed677028b5/integrations/internal/configfile"
)

// configCommand shows the configuration of the service. It takes the flags of serve.
type configCommand struct {
	serveCommand `embed:""`
	JSON         bool `name:"json" help:"Write one JSON object per line."`
}

// A setting is the value of a flag and where it comes from.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // "(set)" for a secret
	Source string `json:"source"`
}

func (c configCommand) Run(s console, parsed *kong.Context) error {
	settings := c.settings(parsed)
	if c.JSON {
		for _, one := range settings {
			if err := s.writeJSON(one); err != nil {
				return err
			}
		}
		return c.check()
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, one := range settings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", one.Name, one.Value, one.Source)
	}
	return errors.Join(table.Flush(), c.check())
}

// check returns the errors with which the service would refuse to start: of its flags, and of the
// files that they name. It connects to nothing.
func (c serveCommand) check() error {
	quiet := slog.New(slog.DiscardHandler)
	profiles, err := c.profiles()
	egress := c.Egress.config(clock)
	egress.Profiles, egress.Private = profiles, c.secretFiles()
	problems := []error{c.checkFlags(), err, egress.Validate(), c.Front.config(c.Listen, quiet).Check()}
	if problems[2] == nil {
		_, out, err := c.OIDC.tokens(egress, func() string { return c.PublicURL }, make([]byte, 32), quiet)
		if out != nil {
			out.Close()
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// settings returns the flags that serve has too, in the order of its help.
func (c configCommand) settings(parsed *kong.Context) []setting {
	given, resolved := map[*kong.Flag]bool{}, map[*kong.Flag]bool{}
	for _, step := range parsed.Path {
		if step.Flag != nil {
			given[step.Flag], resolved[step.Flag] = !step.Resolved, step.Resolved
		}
	}
	var all []setting
	for _, group := range parsed.Flags() {
		if slices.Contains([]string{"help", "json"}, group.Name) {
			continue
		}
		one := setting{Name: group.Name, Value: shown(group), Source: "default"}
		switch variable := variableOf(group); {
		case given[group]:
			one.Source = "command line"
		case resolved[group] && variable != "":
			one.Source = variable
		case resolved[group]:
			one.Source = "configuration file"
		case variable != "":
			one.Source = variable
		}
		all = append(all, one)
	}
	return all
}

// variableOf returns the environment variable that sets a flag, or names a file that does.
func variableOf(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		for _, variable := range []string{name, name + configfile.FileSuffix} {
			if _, set := os.LookupEnv(variable); set {
				return variable
			}
		}
	}
	return ""
}

// shown returns a value without a secret.
func shown(flag *kong.Flag) string {
	text := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(reflect.Indirect(flag.Target)), "[]")), ",")
	switch {
	case text == "" || text == "<invalid,reflect.Value>": // of a pointer: not given
		return "-"
	case flag.Tag.Has("secret"):
		return "(set)"
	case flag.Tag.Has("schemes"):
		return withoutPasswords(text)
	}
	return text
}

// withoutPasswords returns URLs, separated by commas, without their passwords.
func withoutPasswords(text string) string {
	urls := strings.Split(text, ",")
	for i, one := range urls {
		u, err := url.Parse(one)
		if err != nil {
			urls[i] = "(set)"
			continue
		}
		urls[i] = u.Redacted()
	}
	return strings.Join(urls, ",")
}
