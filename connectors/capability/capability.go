// Package capability reads the CapabilityStatement of a FHIR server (HL7 FHIR R4 and
// later, CapabilityStatement), and lists what it offers as endpoints.
//
// Its promise: an endpoint asks for what the statement has, and what is not offered is
// skipped with a reason.
package capability

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxText    = 400  // characters of the description of an endpoint or a parameter
	maxListed  = 1000 // resources of a server, and entries of a list of a resource, that are read
	maxSkipped = 200  // that are listed
)

var (
	resourceType = regexp.MustCompile(`^[A-Z][A-Za-z]{1,63}$`)
	searchName   = regexp.MustCompile(`^[A-Za-z_-][A-Za-z0-9_.:-]{0,63}$`)
	humps        = regexp.MustCompile(`([a-z])([A-Z])`)
)

// server is what the statement has of the server, with what stands there twice in one place.
type server struct {
	interactions []string
	resources    []*resource
	operations   []string // of the whole server
	jsonPatch    bool
	skipped      []domain.Skipped
}

// resource is what a server does with the resources of a type.
type resource struct {
	kind          string
	documentation string
	interactions  []string
	documented    map[string]string // interactions that have a documentation
	parameters    []parameter
	includes      []string
	revIncludes   []string
	operations    []string
	ifNoneExist   bool // conditional creates
	versioned     bool
	notes         []string
}

// parameter is a search parameter.
type parameter struct{ name, kind, documentation string }

// Offers returns the endpoints that a decoded CapabilityStatement, which was scrubbed,
// offers, and what is not among them. Query is added to every path; "": nothing.
func Offers(statement map[string]any, query string) ([]domain.Offer, []domain.Skipped) {
	s := read(statement)
	var offers []domain.Offer
	for _, r := range s.resources {
		found, skipped := r.offers(s)
		offers = append(offers, found...)
		s.skipped = append(s.skipped, skipped...)
	}
	offers = append(offers, s.offers()...)
	taken := map[string]bool{}
	for n := range offers {
		name := offers[n].Name
		for again := 2; taken[offers[n].Name]; again++ {
			offers[n].Name = fmt.Sprintf("%s_%d", name, again)
		}
		taken[offers[n].Name] = true
		if query != "" {
			offers[n].Path += "?" + query
			offers[n].Notes = append(offers[n].Notes, "the server answers in XML unless it is asked with "+query)
		}
	}
	return offers, s.skipped[:min(len(s.skipped), maxSkipped)]
}

func read(statement map[string]any) *server {
	s := &server{jsonPatch: true}
	if formats := texts(statement["patchFormat"]); len(formats) > 0 {
		s.jsonPatch = slices.ContainsFunc(formats, func(f string) bool { return strings.Contains(f, "json-patch") || f == "json" })
	}
	for _, rest := range objects(statement["rest"]) {
		if mode := jsonvalue.FirstString(rest["mode"], "server"); mode != "server" {
			s.skipped = append(s.skipped, domain.Skipped{Operation: "rest of mode " + jsonvalue.Abbreviate(mode, 40), Reason: "it describes what the server calls, not what it answers"})
			continue
		}
		for n, one := range objects(rest["resource"]) {
			kind := jsonvalue.FirstString(one["type"])
			if !resourceType.MatchString(kind) {
				s.skipped = append(s.skipped, domain.Skipped{Operation: fmt.Sprintf("resource %d", n), Reason: "its type is not the name of a resource"})
				continue
			}
			if r := s.resource(kind); r != nil {
				r.add(one)
			}
		}
		s.interactions = union(s.interactions, codes(rest["interaction"]))
		s.operations = union(s.operations, operations(rest["operation"]))
	}
	return s
}

// resource returns the resource of a type, which is made for its first mention; nil where
// there are too many.
func (s *server) resource(kind string) *resource {
	for _, r := range s.resources {
		if r.kind == kind {
			return r
		}
	}
	if len(s.resources) >= maxListed {
		return nil
	}
	r := &resource{kind: kind, documented: map[string]string{}}
	s.resources = append(s.resources, r)
	return r
}

// add adds what one mention of a resource has.
func (r *resource) add(one map[string]any) {
	r.documentation = jsonvalue.FirstString(r.documentation, one["documentation"])
	r.interactions = union(r.interactions, codes(one["interaction"]))
	for _, interaction := range objects(one["interaction"]) {
		code, about := jsonvalue.FirstString(interaction["code"]), jsonvalue.FirstString(interaction["documentation"])
		if about != "" {
			r.documented[code] = about
		}
	}
	r.includes = union(r.includes, texts(one["searchInclude"]))
	r.revIncludes = union(r.revIncludes, texts(one["searchRevInclude"]))
	r.operations = union(r.operations, operations(one["operation"]))
	r.ifNoneExist = r.ifNoneExist || one["conditionalCreate"] == true
	r.versioned = r.versioned || slices.Contains([]any{"versioned", "versioned-update"}, one["versioning"])
	for _, p := range objects(one["searchParam"]) {
		if len(r.parameters) >= maxListed || len(r.notes) >= maxListed {
			r.notes = union(r.notes, []string{"the search parameters after the first are left out: there are too many"})
			break
		}
		name := jsonvalue.FirstString(p["name"])
		switch {
		case slices.ContainsFunc(r.parameters, func(known parameter) bool { return known.name == name }):
		case !searchName.MatchString(name):
			r.notes = append(r.notes, fmt.Sprintf("the search parameter %q is left out: it has no name that a query can have", jsonvalue.Abbreviate(name, 40)))
		default:
			r.parameters = append(r.parameters, parameter{name, jsonvalue.FirstString(p["type"]), jsonvalue.FirstString(p["documentation"])})
		}
	}
}

// snake returns the name of a resource or operation as a part of an endpoint's name.
func snake(name string) string {
	return strings.ReplaceAll(strings.ToLower(humps.ReplaceAllString(name, "${1}_$2")), "-", "_")
}

// objects returns the elements of an array that are objects.
func objects(v any) []map[string]any {
	all, _ := v.([]any)
	var found []map[string]any
	for _, one := range all {
		if object, ok := one.(map[string]any); ok {
			found = append(found, object)
		}
	}
	return found
}

// texts returns the elements of an array that are strings.
func texts(v any) []string {
	all, _ := v.([]any)
	var found []string
	for _, one := range all {
		if s := jsonvalue.FirstString(one); s != "" {
			found = append(found, s)
		}
	}
	return found
}

func codes(v any) []string {
	var found []string
	for _, one := range objects(v) {
		if code := jsonvalue.FirstString(one["code"]); code != "" {
			found = append(found, code)
		}
	}
	return found
}

// operations returns the names of operations, without their $.
func operations(v any) []string {
	var found []string
	for _, one := range objects(v) {
		if name := strings.TrimPrefix(jsonvalue.FirstString(one["name"]), "$"); name != "" {
			found = append(found, name)
		}
	}
	return found
}

// union returns the texts of both, each once, at most maxListed.
func union(a, b []string) []string {
	for _, s := range b {
		if len(a) < maxListed && !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// sentence returns texts as sentences, each cut to maxText.
func sentence(texts ...string) string {
	var all []string
	for _, s := range texts {
		s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
		if s != "" {
			all = append(all, jsonvalue.Abbreviate(s, maxText))
		}
	}
	return strings.Join(all, " ")
}

// merged returns the members of all objects.
func merged(all ...map[string]any) map[string]any {
	union := map[string]any{}
	for _, one := range all {
		maps.Copy(union, one)
	}
	return union
}
