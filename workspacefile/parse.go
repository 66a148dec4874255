// Package workspacefile reads and writes the configuration of a workspace as YAML,
// plans and applies the changes that make a workspace match a file or another workspace, and compares two.
//
// Its one promise: a file never contains a secret that this package wrote, and a plan
// is applied only to the versions that it was decided on.
package workspacefile

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

// Entry is an integration in a file.
type Entry struct {
	Name     string
	Document domain.Document // without the name

	lines    map[string]int // of the file, by JSON pointer
	secrets  []secretField
	texts    []secretField // texts that look like the variable of a secret
	expected []expectedSecret
}

// secretField is the place of a secret in a document.
type secretField struct {
	field   string // as domain.SecretRef names it, such as auth.api_key_value
	pointer string
	parent  map[string]any
	member  string
}

// Problem is a problem and its line in the file.
type Problem struct {
	domain.Problem
	Line int `json:"line,omitempty"`
}

// line returns the line of a pointer, or of its nearest parent; 0: not in the file.
func (e Entry) line(pointer string) int {
	for {
		if line := e.lines[pointer]; line > 0 {
			return line
		}
		end := strings.LastIndexByte(pointer, '/')
		if end < 0 {
			return 0
		}
		pointer = pointer[:end]
	}
}

// Parse reads a file strictly: one YAML document that every YAML parser reads the same
// way. An error names the line.
func Parse(text []byte) ([]Entry, error) {
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
	var all []Entry
	seen := map[string]bool{}
	for _, element := range root.Content[1].Content {
		e := Entry{lines: map[string]int{}}
		value, err := e.decode(element, "", 0)
		if err != nil {
			return nil, err
		}
		members, _ := value.(map[string]any)
		e.Name, _ = members["name"].(string)
		if e.Name == "" {
			return nil, fmt.Errorf("line %d: an integration must have a name", element.Line)
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("line %d: %q is in the file twice", element.Line, e.Name)
		}
		seen[e.Name] = true
		delete(members, "name")
		e.Document = members
		e.findSecrets()
		all = append(all, e)
	}
	return all, nil
}

// maxDepth is how many levels an integration may have.
const maxDepth = 64

// decode returns YAML as decoded JSON, and records the lines of its members.
func (e Entry) decode(n *yaml.Node, pointer string, depth int) (any, error) {
	e.lines[pointer] = n.Line
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: is nested deeper than %d levels", n.Line, maxDepth)
	}
	switch n.Kind {
	case yaml.MappingNode:
		members := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
				return nil, fmt.Errorf("line %d: a member must have a plain name", key.Line)
			}
			if _, twice := members[key.Value]; twice {
				return nil, fmt.Errorf("line %d: %q is given twice", key.Line, key.Value)
			}
			at := pointer + "/" + domain.EscapePointer(key.Value)
			value, err := e.decode(n.Content[i+1], at, depth+1)
			if err != nil {
				return nil, err
			}
			e.lines[at] = key.Line
			members[key.Value] = value
		}
		return members, nil
	case yaml.SequenceNode:
		list := []any{}
		for at, element := range n.Content {
			value, err := e.decode(element, pointer+"/"+strconv.Itoa(at), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return decodeScalar(n)
	default:
		return nil, fmt.Errorf("line %d: anchors and aliases are not supported", n.Line)
	}
}

// decodeScalar returns a scalar as decoded JSON.
func decodeScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
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
			return nil, fmt.Errorf("line %d: %s is not a JSON number", n.Line, n.Value)
		}
		return json.Number(text), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	}
	return nil, fmt.Errorf("line %d: values tagged %s are not supported", n.Line, n.ShortTag())
}

// findSecrets records where the document contains secrets.
func (e *Entry) findSecrets() {
	e.findIn(e.Document, "", "")
	endpoints, _ := e.Document["endpoints"].([]any)
	for n, element := range endpoints {
		endpoint, _ := element.(map[string]any)
		name, _ := endpoint["name"].(string)
		e.findIn(endpoint, "endpoints."+name+".", fmt.Sprintf("/endpoints/%d", n))
	}
	e.findWrapped(e.Document, "headers", "headers", "/headers")
	headers, _ := e.Document["mcp_headers"].(map[string]any)
	for name := range headers {
		e.addSecret(headers, name, "mcp_headers."+strings.ToLower(name), "/mcp_headers/"+domain.EscapePointer(name))
	}
}

func (e *Entry) findIn(parent map[string]any, field, pointer string) {
	auth, _ := parent["auth"].(map[string]any)
	for name := range auth {
		if strings.HasSuffix(name, "_value") {
			e.addSecret(auth, name, field+"auth."+name, pointer+"/auth/"+domain.EscapePointer(name))
		}
	}
	for _, group := range []string{"token_params", "token_headers"} {
		e.findWrapped(auth, group, field+"auth."+group, pointer+"/auth/"+group)
	}
}

// findWrapped records the secrets among the members of a group: those given as
// {value: …}. The others are texts, which are no variables.
func (e *Entry) findWrapped(parent map[string]any, group, field, pointer string) {
	members, _ := parent[group].(map[string]any)
	for name, value := range members {
		at := pointer + "/" + domain.EscapePointer(name)
		if _, wrapped := value.(map[string]any); wrapped {
			e.addSecret(members, name, field+"."+name, at)
		}
		if text, ok := value.(string); ok && variable.MatchString(text) {
			e.texts = append(e.texts, secretField{field: field + "." + name, pointer: at, parent: members, member: name})
		}
	}
}

func (e *Entry) addSecret(parent map[string]any, name, field, pointer string) {
	s := secretField{field: field, pointer: pointer, parent: parent, member: name}
	if _, given := s.text(); given {
		e.secrets = append(e.secrets, s)
	}
}

// text returns the secret, or its variable such as ${CRM_API_KEY}.
func (s secretField) text() (string, bool) {
	value := s.parent[s.member]
	if wrapped, ok := value.(map[string]any); ok && len(wrapped) == 1 { // {value: secret} is the long form
		value = wrapped["value"]
	}
	text, ok := value.(string)
	return text, ok
}

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// ExpandSecrets replaces variables such as ${CRM_API_KEY} by the secrets that lookup
// returns. It returns a problem for each variable that is not set or that no secret may be
// written as, and one for each secret that the file contains as plain text.
func (e Entry) ExpandSecrets(lookup func(name string) (string, bool)) (missing, literal []Problem) {
	for _, s := range e.texts {
		text, _ := s.text()
		missing = append(missing, Problem{domain.Problem{Pointer: s.pointer, Code: "variable_misplaced", Detail: fmt.Sprintf("is a text here, which is not secret: write {value: %q}", text)}, e.line(s.pointer)})
	}
	for _, s := range e.secrets {
		text, _ := s.text()
		match := variable.FindStringSubmatch(text)
		if text == "" { // no secret
			continue
		}
		if match == nil {
			literal = append(literal, Problem{domain.Problem{Pointer: s.pointer, Code: "literal_secret", Detail: "is a secret that everyone who can read the file can read"}, e.line(s.pointer)})
			continue
		}
		if own := ownVariable(match[1]); own != "" {
			missing = append(missing, Problem{domain.Problem{Pointer: s.pointer, Code: "variable_refused", Detail: "variables that begin with " + own + " are not for integrations"}, e.line(s.pointer)})
			continue
		}
		value, set := lookup(match[1])
		if !set || value == "" {
			missing = append(missing, Problem{domain.Problem{Pointer: s.pointer, Code: "variable_missing", Detail: "the environment has no " + match[1]}, e.line(s.pointer)})
			continue
		}
		if wrapped, ok := s.parent[s.member].(map[string]any); ok {
			wrapped["value"] = value
			continue
		}
		s.parent[s.member] = value
	}
	return missing, literal
}

// ownVariable returns the beginning of a name that makes a variable one of the service or of the
// tools that it uses, "" for all others: who writes a file must not get their secrets.
func ownVariable(name string) string {
	for _, own := range []string{"INTEGRATIONS_", "VAULT_", "BAO_", "AWS_", "GOOGLE_", "GCE_", "CLOUDSDK_", "OTEL_"} {
		if strings.HasPrefix(name, own) {
			return own
		}
	}
	return ""
}

// withoutSecrets returns the document without the secrets of some fields.
func (e Entry) withoutSecrets(fields map[string]bool) domain.Document {
	copied, _ := clone(map[string]any(e.Document)).(map[string]any)
	without := Entry{Document: copied}
	without.findSecrets()
	for _, s := range without.secrets {
		if fields[s.field] {
			s.parent[s.member] = nil // null means the same as no member
		}
	}
	return without.Document
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
