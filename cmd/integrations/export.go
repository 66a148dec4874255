package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// exportCommand writes what import reads. It needs the log only.
type exportCommand struct {
	Workspace  string `help:"Id of the workspace." required:""`
	storeFlags `embed:""`
}

func (c exportCommand) Run(s streams) error {
	w, err := domain.ParseWorkspace(c.Workspace)
	if err != nil {
		return err
	}
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	found, err := existing(s.ctx, events, w)
	if err != nil {
		return err
	}
	text, err := configurationFile(w, found.position, found.named)
	if err != nil {
		return err
	}
	if _, err = s.out.Write(text); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(found.unread)) {
		_, _ = fmt.Fprintf(s.err, "left out: integration %s: its last event can't be read: %s\n", id, found.unread[id])
		err = errFound
	}
	return err
}

// found is what a workspace holds.
type found struct {
	named    map[string]domain.Integration
	unread   map[domain.ID]error // of those whose last event can't be read
	position uint64              // in the log, up to which none is missing
}

// existing returns the integrations of a workspace.
func existing(ctx context.Context, events *eventstore.Store, w domain.Workspace) (found, error) {
	latest, err := events.LatestIn(ctx, eventstore.Selection{Workspace: w})
	if err != nil {
		return found{}, err
	}
	last := map[domain.ID]eventstore.Commit{} // one that changes meanwhile comes again
	for batch, err := range latest.Commits {
		if err != nil {
			return found{}, err
		}
		for _, c := range batch {
			last[c.ID] = c
		}
	}
	f := found{named: map[string]domain.Integration{}, unread: map[domain.ID]error{}, position: latest.Position}
	for id, c := range last {
		if c.Err != nil {
			f.unread[id] = c.Err
		} else if i := domain.Evolve(domain.Integration{}, c.Event); i.Exists() {
			f.named[i.Name] = i
		}
	}
	return f, nil
}

// configurationFile returns integrations as import reads them, in the order of
// their names.
func configurationFile(w domain.Workspace, position uint64, all map[string]domain.Integration) ([]byte, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if len(all) == 0 {
		list.Style = yaml.FlowStyle
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		doc := all[name].Configuration.Document()
		doc["name"] = name
		list.Content = append(list.Content, node(map[string]any(doc)))
	}
	text, err := yaml.Dump(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{node(listName), list}}, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	comment := fmt.Sprintf(`# The integrations of workspace %s up to position %d of the log, for "integrations import".
# Secrets are not in it. An integration that is there keeps those it has; another one needs them as a member
# of its auth, such as api_key_value: ${CRM_API_KEY}, which import reads from the environment.
`, w, position)
	return append([]byte(comment), text...), nil
}

// listName is the one member of a file.
const listName = "integrations"

// firstMembers stand before the others, which have the order of their names.
const firstMembers = " name display_name type description protocol enabled base_url method path "

// node returns decoded JSON as YAML.
func node(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		return mapping(v)
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) == 0 {
			list.Style = yaml.FlowStyle
		}
		for _, element := range v {
			list.Content = append(list.Content, node(element))
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

func mapping(members map[string]any) *yaml.Node {
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
		value := node(members[name])
		if auth, ok := members[name].(map[string]any); ok && name == "auth" {
			sayAbsent(value, auth)
		}
		m.Content = append(m.Content, node(name), value)
	}
	return m
}

// sayAbsent comments on an auth that its secret is not shown.
func sayAbsent(to *yaml.Node, auth map[string]any) {
	kind, _ := auth["type"].(string)
	if field := (domain.Auth{Type: domain.AuthType(kind)}).SecretField(); field != "" {
		to.Content[1].LineComment = "# " + field + " is not shown" // type stands first
	}
}
