package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/domain"
)

// described is an integration as a file describes it.
type described struct {
	name    string
	doc     domain.Document // without the name
	lines   map[string]int  // of the file, by JSON pointer
	secrets []givenSecret
}

// givenSecret is a secret in a document.
type givenSecret struct {
	field   string // as a reference names it, such as auth.api_key_value
	pointer string
	holder  map[string]any // what has it as a member
	member  string
}

// filed is a problem and the line of the file it stands in.
type filed struct {
	domain.Problem
	Line int `json:"line,omitempty"`
}

// at returns the line of a pointer, or of the nearest that holds it.
func (d described) at(pointer string) int {
	for {
		if line := d.lines[pointer]; line > 0 {
			return line
		}
		end := strings.LastIndexByte(pointer, '/')
		if end < 0 {
			return 0
		}
		pointer = pointer[:end]
	}
}

// readDescribed reads the integrations of a file, strictly: one YAML document
// that every reader takes for the same.
func readDescribed(text []byte) ([]described, error) {
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	root := &document
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != listName || root.Content[1].Kind != yaml.SequenceNode {
		return nil, errors.New("the file must have one member, integrations: a list")
	}
	var all []described
	seen := map[string]bool{}
	for _, element := range root.Content[1].Content {
		d := described{lines: map[string]int{}}
		value, err := d.read(element, "", 0)
		if err != nil {
			return nil, err
		}
		members, _ := value.(map[string]any)
		d.name, _ = members["name"].(string)
		if d.name == "" {
			return nil, fmt.Errorf("line %d: an integration must have a name", element.Line)
		}
		if seen[d.name] {
			return nil, fmt.Errorf("line %d: %q is described twice", element.Line, d.name)
		}
		seen[d.name] = true
		delete(members, "name")
		d.doc = members
		d.findSecrets()
		all = append(all, d)
	}
	return all, nil
}

// deepest is how many levels an integration may have.
const deepest = 64

// read returns YAML as decoded JSON.
func (d described) read(n *yaml.Node, pointer string, depth int) (any, error) {
	d.lines[pointer] = n.Line
	if depth > deepest {
		return nil, fmt.Errorf("line %d: is nested deeper than %d levels", n.Line, deepest)
	}
	switch n.Kind {
	case yaml.MappingNode:
		members := map[string]any{}
		for at := 0; at+1 < len(n.Content); at += 2 {
			key := n.Content[at]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
				return nil, fmt.Errorf("line %d: a member must have a plain name", key.Line)
			}
			if _, twice := members[key.Value]; twice {
				return nil, fmt.Errorf("line %d: %q is given twice", key.Line, key.Value)
			}
			place := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key.Value)
			value, err := d.read(n.Content[at+1], place, depth+1)
			if err != nil {
				return nil, err
			}
			d.lines[place] = key.Line
			members[key.Value] = value
		}
		return members, nil
	case yaml.SequenceNode:
		list := []any{}
		for at, element := range n.Content {
			value, err := d.read(element, pointer+"/"+strconv.Itoa(at), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return scalar(n)
	default:
		return nil, fmt.Errorf("line %d: anchors and aliases are not taken", n.Line)
	}
}

// scalar returns a value as JSON would have it.
func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var is bool
		err := n.Decode(&is)
		return is, err
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var number float64
		if err := n.Decode(&number); err != nil {
			return nil, err
		}
		text, err := json.Marshal(number)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s is not a number that JSON has", n.Line, n.Value)
		}
		return json.Number(text), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	}
	return nil, fmt.Errorf("line %d: values tagged %s are not taken", n.Line, n.ShortTag())
}

// findSecrets notes where the document gives secrets.
func (d *described) findSecrets() {
	d.findIn(d.doc, "", "")
	endpoints, _ := d.doc["endpoints"].([]any)
	for n, element := range endpoints {
		endpoint, _ := element.(map[string]any)
		name, _ := endpoint["name"].(string)
		d.findIn(endpoint, "endpoints."+name+".", fmt.Sprintf("/endpoints/%d", n))
	}
	headers, _ := d.doc["mcp_headers"].(map[string]any)
	for name := range headers {
		d.found(headers, name, "mcp_headers."+strings.ToLower(name), "/mcp_headers/"+name)
	}
}

func (d *described) findIn(holder map[string]any, field, pointer string) {
	auth, _ := holder["auth"].(map[string]any)
	for name := range auth {
		if strings.HasSuffix(name, "_value") {
			d.found(auth, name, field+"auth."+name, pointer+"/auth/"+name)
		}
	}
}

func (d *described) found(holder map[string]any, name, field, pointer string) {
	s := givenSecret{field: field, pointer: pointer, holder: holder, member: name}
	if _, given := s.text(); given {
		d.secrets = append(d.secrets, s)
	}
}

// text returns the secret, or the variable that stands for it.
func (s givenSecret) text() (string, bool) {
	value := s.holder[s.member]
	if wrapped, ok := value.(map[string]any); ok && len(wrapped) == 1 { // the other way to write one
		value = wrapped["value"]
	}
	text, ok := value.(string)
	return text, ok
}

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// fill puts secrets into the place of the variables that stand for them. It
// returns what is wrong, and which secrets are written out.
func (d described) fill(environment func(string) (string, bool)) (wrong, literal []filed) {
	for _, s := range d.secrets {
		text, _ := s.text()
		named := variable.FindStringSubmatch(text)
		if named == nil {
			literal = append(literal, filed{domain.Problem{Pointer: s.pointer, Code: "literal_secret", Detail: "is a secret that anyone can read who can read the file"}, d.at(s.pointer)})
			continue
		}
		value, set := environment(named[1])
		if !set || value == "" {
			wrong = append(wrong, filed{domain.Problem{Pointer: s.pointer, Code: "variable_missing", Detail: "the environment has no " + named[1]}, d.at(s.pointer)})
			continue
		}
		s.holder[s.member] = value
	}
	return wrong, literal
}

// without returns the document without some of its secrets, by their fields.
func (d described) without(known map[string]bool) domain.Document {
	copied, _ := clone(map[string]any(d.doc)).(map[string]any)
	rest := described{doc: copied}
	rest.findSecrets()
	for _, s := range rest.secrets {
		if known[s.field] {
			s.holder[s.member] = nil // says as much as no member at all
		}
	}
	return rest.doc
}

// clone returns a copy of decoded JSON.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, inner := range v {
			copied[name] = clone(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for n, inner := range v {
			copied[n] = clone(inner)
		}
		return copied
	}
	return v
}
