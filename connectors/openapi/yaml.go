package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

const (
	maxYAMLNodes = 400_000 // values and names of a document, what aliases repeat among them
	maxYAMLDepth = 100
)

var errYAMLTooMuch = fmt.Errorf("it has more than %d values", maxYAMLNodes)

// readYAML returns one YAML document as decoded JSON, in time and memory that grow
// with its length only. It reads into nodes first, since the library looks for
// names that are given twice in a time that grows with their square. It ends with
// ctx.
func readYAML(ctx context.Context, text []byte) (any, error) {
	if jsonvalue.CountMarks(text) > maxYAMLNodes { // before there are nodes, which are large
		return nil, errYAMLTooMuch
	}
	loader, err := yaml.NewLoader(contextReader{ctx, bytes.NewReader(versionOut(text))})
	if err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	var document yaml.Node
	if err := loader.Load(&document); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	root := &document
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	r := yamlReader{ctx: ctx, left: maxYAMLNodes, anchors: map[*yaml.Node]aliased{}}
	return r.read(root, 0)
}

// contextReader ends with its context.
type contextReader struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

type yamlReader struct {
	ctx     context.Context
	left    int // nodes that may still be read
	anchors map[*yaml.Node]aliased
}

// aliased is what was read of a node that aliases lead to.
type aliased struct {
	value any
	nodes int // values and names in it, 0 while it is read
}

func (r *yamlReader) read(n *yaml.Node, depth int) (any, error) {
	if r.left--; r.left < 0 {
		return nil, errYAMLTooMuch
	}
	if r.left%1024 == 0 && r.ctx.Err() != nil {
		return nil, r.ctx.Err()
	}
	if depth > maxYAMLDepth {
		return nil, fmt.Errorf("line %d: it is nested deeper than %d levels", n.Line, maxYAMLDepth)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for at, element := range n.Content {
			value, err := r.read(element, depth+1)
			if err != nil {
				return nil, err
			}
			list[at] = value
		}
		return list, nil
	case yaml.ScalarNode:
		return yamlScalar(n)
	case yaml.DocumentNode, yaml.StreamNode:
	case yaml.AliasNode:
		return r.alias(n, depth)
	}
	return nil, nil //nolint:nilnil // an empty document is null
}

// alias returns what its anchor stands for. One that leads to itself has no end. What is
// repeated counts each time: readers of the document meet it as often.
func (r *yamlReader) alias(n *yaml.Node, depth int) (any, error) {
	of, known := r.anchors[n.Alias]
	switch {
	case known && of.nodes == 0:
		return nil, fmt.Errorf("line %d: the alias %s leads to itself", n.Line, n.Value)
	case known:
		if r.left -= of.nodes; r.left < 0 {
			return nil, errYAMLTooMuch
		}
		return of.value, nil
	}
	r.anchors[n.Alias] = aliased{}
	before := r.left
	read, err := r.read(n.Alias, depth+1)
	if err != nil {
		return nil, err
	}
	r.anchors[n.Alias] = aliased{read, before - r.left}
	return read, nil
}

// mapping reads names and values; << takes in other mappings, whose values stand
// behind the mapping's own.
func (r *yamlReader) mapping(n *yaml.Node, depth int) (any, error) {
	members := make(map[string]any, len(n.Content)/2)
	var merged []any
	for at := 0; at+1 < len(n.Content); at += 2 {
		key := n.Content[at]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a name must be plain", key.Line)
		}
		value, err := r.read(n.Content[at+1], depth+1)
		if err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			if list, ok := value.([]any); ok {
				merged = append(merged, list...)
			} else {
				merged = append(merged, value)
			}
			continue
		}
		if _, twice := members[key.Value]; twice {
			return nil, fmt.Errorf("line %d: a name is given twice", key.Line)
		}
		members[key.Value] = value
	}
	for _, one := range merged {
		from, ok := one.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("line %d: << takes mappings only", n.Line)
		}
		if r.left -= len(from); r.left < 0 {
			return nil, errYAMLTooMuch
		}
		for name, value := range from {
			if _, own := members[name]; !own {
				members[name] = value
			}
		}
	}
	stayText(members, n)
	return members, nil
}

// stayText keeps the values of a schema of texts as they are written, such as the 0755 and
// the True of an enum, which YAML reads as other values.
func stayText(members map[string]any, n *yaml.Node) {
	if members["type"] != "string" {
		return
	}
	for at := 0; at+1 < len(n.Content); at += 2 {
		name, value := n.Content[at].Value, n.Content[at+1]
		switch _, read := members[name]; {
		case !read:
		case name == "default" || name == "const":
			members[name] = asText(value, members[name])
		case name == "enum" && value.Kind == yaml.SequenceNode:
			list, _ := members[name].([]any)
			for i := range list {
				list[i] = asText(value.Content[i], list[i])
			}
		}
	}
}

// asText returns a scalar as it is written, unless it is null.
func asText(n *yaml.Node, read any) any {
	if _, scalar := jsonvalue.Scalar(read); scalar && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return read
}

// versionOut returns a text without the directive that names a version of YAML, which the
// library does not take. All versions are read alike.
func versionOut(text []byte) []byte {
	return yamlVersion.ReplaceAll(text, []byte("$1"))
}

var yamlVersion = regexp.MustCompile(`^(\x{FEFF}?(?:[ \t]*(?:#[^\r\n]*)?\r?\n)*)%YAML[ \t]+1\.[0-9]+[^\r\n]*`)

// yamlScalar returns a value as JSON would have it.
func yamlScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil //nolint:nilnil // null is a value
	case "!!bool":
		var is bool
		if err := n.Decode(&is); err != nil {
			return nil, errors.New("it has a boolean that is none")
		}
		return is, nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var number float64
		if err := n.Decode(&number); err != nil {
			return nil, errors.New("it has a number that is none")
		}
		text, err := json.Marshal(number)
		if err != nil {
			return n.Value, nil //nolint:nilerr // .inf and .nan, which JSON has as texts only
		}
		return json.Number(text), nil
	}
	return n.Value, nil
}
