// Package configfile reads the values of flags from a file and from files that the
// environment names.
//
// Its promise: a name or a value that no flag takes is an error with the line it stands
// on, and no value is ever quoted, since it may be a secret.
package configfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/domain"
)

// maxBytes is how large the file may be, and a file that the environment names.
const maxBytes = 1 << 20

// FileSuffix makes the name of an environment variable that names a file with the value.
const FileSuffix = "_FILE"

// File is the content of a configuration file: values by the name of their flag, written
// as on the command line.
type File map[string]string

// Read reads a file: a YAML mapping of names of flags to values, such as
//
//	listen: 0.0.0.0:8443
//	roles: [api, projector]
func Read(path string) (File, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	file, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBytes {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", maxBytes)}
	}
	return os.ReadFile(path) //nolint:gosec // the operator names it
}

func parse(text []byte) (File, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	file := File{}
	if len(document.Content) == 0 { // empty, or comments only
		return file, nil
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return nil, at(mapping, "write names of flags and their values, such as listen: 127.0.0.1:8080")
	}
	var problems []error
	for pair := range slices.Chunk(mapping.Content, 2) {
		name := pair[0].Value
		value, err := flagValue(pair[1])
		_, twice := file[name]
		switch {
		case err != nil:
			problems = append(problems, err)
		case twice:
			problems = append(problems, at(pair[0], "%q is given twice", name))
		default:
			file[name] = value
		}
	}
	return file, errors.Join(problems...)
}

// flagValue returns a value as it is written on the command line.
func flagValue(node *yaml.Node) (string, error) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return node.Value, nil
	case node.Kind == yaml.SequenceNode && len(node.Content) > 0:
		elements := make([]string, len(node.Content))
		for i, element := range node.Content {
			if element.Kind != yaml.ScalarNode || element.Tag == "!!null" || strings.Contains(element.Value, ",") {
				return "", at(element, "an element of a list is a single value without a comma")
			}
			elements[i] = element.Value
		}
		return strings.Join(elements, ","), nil
	}
	return "", at(node, "a value is text, a number, true, false, or a list of them; leave the name out for the default")
}

func at(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
}

// Check returns an error for each name that is no flag of the application.
func (f File) Check(app *kong.Application) error {
	var known []string
	var walk func(*kong.Node)
	walk = func(node *kong.Node) {
		for _, flag := range node.Flags {
			known = append(known, flag.Name)
		}
		for _, child := range node.Children {
			walk(child)
		}
	}
	walk(app.Node)
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(f)) {
		switch {
		case name == "config" || name == "help":
			problems = append(problems, fmt.Errorf("%q can't be set in a file", name))
		case !slices.Contains(known, name):
			problems = append(problems, fmt.Errorf("there is no flag %q%s", name, domain.Suggestion(name, known)))
		}
	}
	return errors.Join(problems...)
}

// Validate is for kong.Resolver.
func (f File) Validate(app *kong.Application) error { return f.Check(app) }

// Resolve returns the value of a flag that neither the command line nor the environment
// sets: that of a file which the environment names, else that of this file, else nil.
func (f File) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	inEnvironment := ""
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			inEnvironment = name
		}
	}
	for _, name := range flag.Envs {
		path, named := os.LookupEnv(name + FileSuffix)
		switch {
		case !named:
			continue
		case inEnvironment != "":
			return nil, fmt.Errorf("both %s and %s are set; set one", inEnvironment, name+FileSuffix)
		}
		text, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name+FileSuffix, err)
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	if value, ok := f[flag.Name]; ok && inEnvironment == "" {
		return value, nil
	}
	return nil, nil //nolint:nilnil // kong's way to report that a resolver has no value
}
