package openapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Operation is an operation of a document, before its parameters are read.
type Operation struct {
	Name        string // of its endpoint; no two of a document have the same
	Description string
	Method      string
	Path        string // as the document has it
	Tags        []string

	item, members map[string]any
	problem       string // why it can't be offered
}

// Title returns how the document names the operation, such as GET /things.
func (o Operation) Title() string { return strings.TrimSpace(o.Method + " " + o.Path) }

// Candidate returns what a selection looks at.
func (o Operation) Candidate() domain.Candidate {
	return domain.Candidate{Name: o.Name, Description: o.Description, Method: o.Method, Path: o.Path, Tags: o.Tags}
}

const maxTags = 50 // of an operation, that a selection looks at

// methods are those that an endpoint may have, in the order of the list; others are
// those that it can't have.
var (
	methods = []string{"get", "post", "put", "patch", "delete"}
	others  = []string{"head", "options", "trace", "query"}
)

// Operations returns every operation, in the order of the paths. No name is given
// twice: the second gets a number.
func (d *Document) Operations() []Operation {
	var all []Operation
	names := map[string]int{}
	paths, _ := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		item, problem := d.follow(paths[path])
		if problem != "" {
			all = append(all, Operation{Path: path, problem: "the path item " + problem})
			continue
		}
		item = d.besideReference(paths[path], item)
		for _, o := range d.operationsAt(path, item) {
			if o.problem == "" && names[o.Name] > 0 {
				o.Name = cmpText(EndpointName(strings.ToLower(o.Method)+o.Path), o.Name)
			}
			if o.problem == "" {
				o.Name = free(names, o.Name, maxName)
			}
			all = append(all, o)
		}
	}
	return all
}

// besideReference returns a path item with the members that stand beside its
// reference, which OpenAPI leaves undefined and documents use.
func (d *Document) besideReference(from any, item map[string]any) map[string]any {
	beside, _ := from.(map[string]any)
	if _, refers := beside["$ref"]; !refers || len(beside) == 1 {
		return item
	}
	both := map[string]any{}
	for _, name := range slices.Concat(methods, others, []string{"parameters", "servers", "additionalOperations"}) {
		if v := either(beside[name], item[name]); v != nil {
			both[name] = v
		}
	}
	return both
}

func either(a, b any) any {
	if a != nil {
		return a
	}
	return b
}

func (d *Document) operationsAt(path string, item map[string]any) []Operation {
	var all []Operation
	for _, method := range methods {
		if item[method] == nil {
			continue
		}
		o := Operation{Method: strings.ToUpper(method), Path: path, item: item}
		if o.members, o.problem = d.follow(item[method]); o.problem != "" {
			o.problem = "the operation " + o.problem
		}
		o.Tags = firstTexts(o.members["tags"], maxTags)
		o.Description = Description(jsonvalue.FirstString(o.members["summary"]), jsonvalue.FirstString(o.members["description"]), o.Title())
		o.Name = EndpointName(jsonvalue.FirstString(o.members["operationId"]))
		if o.Name == "" {
			o.Name = EndpointName(method + path)
		}
		all = append(all, o)
	}
	for _, method := range others {
		if _, isOperation := item[method].(map[string]any); isOperation {
			all = append(all, Operation{Method: strings.ToUpper(method), Path: path, problem: "an endpoint can't have its method"})
		}
	}
	additional, _ := item["additionalOperations"].(map[string]any)
	for _, method := range slices.Sorted(maps.Keys(additional)) {
		all = append(all, Operation{Method: method, Path: path, problem: "an endpoint can't have its method"})
	}
	return all
}

// free returns a name that is not taken, with a number where it must be, and takes it.
// taken has the last number of a name.
func free(taken map[string]int, name string, limit int) string {
	one := name
	for taken[one] > 0 {
		taken[name]++
		suffix := "_" + strconv.Itoa(taken[name])
		one = name[:min(len(name), limit-len(suffix))] + suffix
	}
	taken[one] = 1
	return one
}

func firstTexts(v any, limit int) []string {
	list, _ := v.([]any)
	return texts(list[:min(len(list), limit)])
}

func texts(v any) []string {
	list, _ := v.([]any)
	var all []string
	for _, one := range list {
		if s, ok := one.(string); ok {
			all = append(all, s)
		}
	}
	return all
}
