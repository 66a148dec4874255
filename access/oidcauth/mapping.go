package oidcauth

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// Mapping is what the tokens of an issuer permit.
type Mapping struct {
	Issuer   string   // its URL, exactly as in the claim iss
	Audience []string // one of these must be in the claim aud
	Scopes   []string // that clients should ask for
	Actor    string   // the claim that names who acts, in events
	Grants   []Grant
}

// Grant is what tokens permit whose claims match all conditions.
type Grant struct {
	when        []condition // in the order of the file
	Workspaces  []string    // names, in which {1} is what the first * of the conditions stands for
	Everywhere  bool        // in every workspace
	Permissions []access.Permission
	Scope       domain.Scope
	subjects    []string // of the scope, in which {1} is as in Workspaces; nil: all
	KeyDays     int      // how long keys may be valid that are issued with it; 0: no longer than the token
}

// The bounds of a mapping.
const (
	maxFile     = 1 << 20 // bytes
	maxGrants   = 1000
	maxPatterns = 100 // in each list
	maxKeyDays  = 3650
)

// mapping is the form of a Mapping in a file, grant that of a Grant. Errors show their names.
type mapping struct {
	Issuer   string    `yaml:"issuer"`
	Audience yaml.Node `yaml:"audience"`
	Scopes   yaml.Node `yaml:"scopes"`
	Actor    string    `yaml:"actor"`
	Grants   []grant   `yaml:"grants"`
}

type grant struct {
	When         yaml.Node `yaml:"when"`
	Workspaces   yaml.Node `yaml:"workspaces"`
	Permissions  yaml.Node `yaml:"permissions"`
	Integrations yaml.Node `yaml:"integrations"`
	Tools        yaml.Node `yaml:"tools"`
	Methods      yaml.Node `yaml:"methods"`
	Subjects     yaml.Node `yaml:"subjects"`
	KeyDays      int       `yaml:"key_days"`
}

// ReadMapping reads a mapping from YAML. The error lists everything that is wrong, by lines
// and JSON pointers. Issuer and Audience may be absent.
func ReadMapping(text []byte) (*Mapping, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", maxFile)
	}
	var f mapping
	if err := yaml.Load(text, &f, yaml.WithKnownFields()); err != nil {
		return nil, err
	}
	var r reader
	m := &Mapping{Issuer: f.Issuer, Audience: r.texts(&f.Audience, "/audience"), Scopes: r.texts(&f.Scopes, "/scopes"), Actor: f.Actor}
	if m.Actor == "" {
		m.Actor = "sub"
	}
	if m.Issuer != "" && !domain.SecureURL(m.Issuer) {
		r.problem(nil, "/issuer", "must be an https URL")
	}
	if n := len(f.Grants); n == 0 || n > maxGrants {
		r.problem(nil, "/grants", "must be a list of 1 to %d grants", maxGrants)
		return nil, errors.Join(r.problems...)
	}
	for n := range f.Grants {
		given, at := &f.Grants[n], "/grants/"+strconv.Itoa(n)
		g := Grant{when: r.conditions(&given.When, at+"/when"), KeyDays: given.KeyDays}
		g.Workspaces, g.Everywhere = r.workspaces(&given.Workspaces, at+"/workspaces", stars(g.when))
		g.Permissions = r.permissions(&given.Permissions, at+"/permissions")
		g.Scope = domain.Scope{
			Integrations: r.texts(&given.Integrations, at+"/integrations"), Tools: r.texts(&given.Tools, at+"/tools"), Methods: r.texts(&given.Methods, at+"/methods"),
		}
		g.subjects = r.subjects(&given.Subjects, at+"/subjects", stars(g.when))
		for _, p := range g.Scope.Problems() {
			r.problem(&given.Permissions, at+p.Pointer, "%s", p.Detail)
		}
		if detail := (access.Key{Permissions: g.Permissions, Scope: g.scope(g.subjects)}).ScopeProblem(); detail != "" {
			r.problem(&given.Permissions, at+"/permissions", "%s", detail)
		}
		if g.KeyDays < 0 || g.KeyDays > maxKeyDays {
			r.problem(&given.Permissions, at+"/key_days", "must be a number from 0 to %d", maxKeyDays)
		}
		m.Grants = append(m.Grants, g)
	}
	return m, errors.Join(r.problems...)
}

// reader collects what is wrong with a file.
type reader struct{ problems []error }

func (r *reader) problem(node *yaml.Node, pointer, format string, args ...any) {
	line := ""
	if node != nil && node.Line > 0 {
		line = fmt.Sprintf("line %d: ", node.Line)
	}
	r.problems = append(r.problems, fmt.Errorf("%s%s: %s", line, pointer, fmt.Sprintf(format, args...)))
}

// texts reads one text or a list of them; nil when the node is absent.
func (r *reader) texts(node *yaml.Node, pointer string) []string {
	if node.IsZero() {
		return nil
	}
	nodes := node.Content
	if node.Kind == yaml.ScalarNode {
		nodes = []*yaml.Node{node}
	} else if node.Kind != yaml.SequenceNode {
		r.problem(node, pointer, "must be a text or a list of texts")
		return nil
	}
	var all []string
	for n, one := range nodes {
		if one.Kind != yaml.ScalarNode || one.Value == "" || one.Tag == "!!null" {
			r.problem(one, pointer+"/"+strconv.Itoa(n), "must be a text that is not empty")
			continue
		}
		all = append(all, one.Value)
	}
	if len(nodes) == 0 || len(nodes) > maxPatterns {
		r.problem(node, pointer, "must have 1 to %d elements", maxPatterns)
	}
	return all
}

func (r *reader) permissions(node *yaml.Node, pointer string) (all []access.Permission) {
	if node.IsZero() {
		r.problem(nil, pointer, "is required")
	}
	for n, name := range r.texts(node, pointer) {
		p, err := access.ParsePermission(name)
		if err != nil {
			r.problem(node, pointer+"/"+strconv.Itoa(n), "%v", err)
		}
		all = append(all, p)
	}
	return all
}

// placeholder stands in a workspace for what a * stands for.
var placeholder = regexp.MustCompile(`\{([0-9]+)\}`)

// placeholders checks that the placeholders of a text count up to stars.
func (r *reader) placeholders(node *yaml.Node, pointer, text string, stars int) {
	for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
		if number, err := strconv.Atoi(found[1]); err != nil || number < 1 || number > stars {
			r.problem(node, pointer, "%s stands for a * of when, which has %d", found[0], stars)
		}
	}
}

// subjects reads patterns of subjects, in which placeholders count up to stars.
func (r *reader) subjects(node *yaml.Node, pointer string, stars int) []string {
	all := r.texts(node, pointer)
	for n, text := range all {
		r.placeholders(node, pointer+"/"+strconv.Itoa(n), text, stars)
		for _, p := range (domain.Scope{Subjects: []string{placeholder.ReplaceAllString(text, "x")}}).Problems() {
			r.problem(node, pointer+"/"+strconv.Itoa(n), "%s", p.Detail)
		}
	}
	return all
}

// workspaces reads the names of workspaces, in which placeholders count up to stars.
func (r *reader) workspaces(node *yaml.Node, pointer string, stars int) (names []string, everywhere bool) {
	if node.IsZero() {
		r.problem(nil, pointer, "is required")
	}
	for n, name := range r.texts(node, pointer) {
		if name == "*" {
			everywhere = true
			continue
		}
		r.placeholders(node, pointer+"/"+strconv.Itoa(n), name, stars)
		if _, err := domain.ParseWorkspace(placeholder.ReplaceAllString(name, "x")); err != nil {
			r.problem(node, pointer+"/"+strconv.Itoa(n), `must be a workspace, "{1}" for what the first * of when stands for, or "*" for all`)
		}
		names = append(names, name)
	}
	return names, everywhere
}

// conditions reads when: a pattern, or a list of patterns, for each claim.
func (r *reader) conditions(node *yaml.Node, pointer string) (all []condition) {
	if node.Kind != yaml.MappingNode {
		r.problem(node, pointer, "must have a pattern for each claim that is looked at; {} matches every token")
		return nil
	}
	seen := map[string]bool{}
	for n := 0; n+1 < len(node.Content); n += 2 {
		name := node.Content[n].Value
		at := pointer + "/" + domain.EscapePointer(name)
		if seen[name] {
			r.problem(node.Content[n], at, "is there twice")
		}
		seen[name] = true
		c := condition{claim: name}
		for k, text := range r.texts(node.Content[n+1], at) {
			p := compile(text)
			if k > 0 && p.NumSubexp() != c.stars() {
				r.problem(node.Content[n+1], at, "all patterns of a claim must have the same number of *")
			}
			c.patterns = append(c.patterns, p)
			if !strings.Contains(text, "*") {
				c.literals = append(c.literals, text)
			}
		}
		all = append(all, c)
	}
	return all
}
