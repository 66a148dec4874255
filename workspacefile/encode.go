package workspacefile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/domain"
)

// Encode returns the integrations as a file that Parse reads, sorted by name. It
// contains no secrets.
func (c Contents) Encode() ([]byte, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if len(c.ByName) == 0 {
		list.Style = yaml.FlowStyle
	}
	for _, name := range slices.Sorted(maps.Keys(c.ByName)) {
		doc := c.ByName[name].Configuration.Document()
		doc["name"] = name
		list.Content = append(list.Content, encode(map[string]any(doc)))
	}
	text, err := yaml.Dump(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{encode(listName), list}}, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	comment := fmt.Sprintf(`# The integrations of workspace %s up to position %d of the log, for "integrations import".
# Secrets are not in it. An integration that exists keeps its secrets; a new one needs them as a member
# of its auth, such as api_key_value: ${CRM_API_KEY}, which import reads from the environment.
`, c.Workspace, c.Position)
	return append([]byte(comment), text...), nil
}

// listName is the only member of a file.
const listName = "integrations"

// firstMembers come first, in this order; the others are sorted by name.
const firstMembers = " name display_name type description protocol enabled base_url method path "

// encode returns decoded JSON as YAML.
func encode(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		return encodeMapping(v)
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) == 0 {
			list.Style = yaml.FlowStyle
		}
		for _, element := range v {
			list.Content = append(list.Content, encode(element))
		}
		return list
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: string(v)}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: string(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func encodeMapping(members map[string]any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	if len(members) == 0 {
		m.Style = yaml.FlowStyle
	}
	names := slices.SortedFunc(maps.Keys(members), func(a, b string) int {
		rank := func(name string) int {
			if at := strings.Index(firstMembers, " "+name+" "); at >= 0 {
				return at
			}
			return len(firstMembers)
		}
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		value := encode(members[name])
		if auth, ok := members[name].(map[string]any); ok && name == "auth" {
			commentOnSecret(value, auth)
		}
		m.Content = append(m.Content, encode(name), value)
	}
	return m
}

// commentOnSecret adds a comment to an auth that its secret is not in the file.
func commentOnSecret(to *yaml.Node, auth map[string]any) {
	kind, _ := auth["type"].(string)
	if field := (domain.Auth{Type: domain.AuthType(kind)}).SecretField(); field != "" {
		to.Content[1].LineComment = "# " + field + " is not shown" // the type comes first
	}
}
