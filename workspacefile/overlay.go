package workspacefile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// Overlay returns the entries with the changes of a second file: members of objects are merged, null
// removes one, and endpoints are merged by their name. All else is replaced. A change of an
// integration or an endpoint that all doesn't have is an error.
func Overlay(all, changes []Entry) ([]Entry, error) {
	all = slices.Clone(all)
	for _, change := range changes {
		at := slices.IndexFunc(all, func(e Entry) bool { return e.Name == change.Name })
		if at < 0 {
			return nil, fmt.Errorf("line %d: there is no integration %q to change", change.line(""), change.Name)
		}
		document, _ := clone(map[string]any(all[at].Document)).(map[string]any)
		with, _ := clone(map[string]any(change.Document)).(map[string]any)
		if endpoints, given := with["endpoints"].([]any); given {
			if err := change.mergeEndpoints(document["endpoints"], endpoints); err != nil {
				return nil, err
			}
			delete(with, "endpoints")
		}
		merge("", document, with)
		all[at] = Entry{Name: change.Name, Document: document, expected: all[at].expected}
		all[at].findSecrets()
	}
	return all, nil
}

// mergeEndpoints merges endpoints into those of the same name.
func (e Entry) mergeEndpoints(into any, changes []any) error {
	present, _ := into.([]any)
	for n, element := range changes {
		change, _ := element.(map[string]any)
		at := slices.IndexFunc(present, func(p any) bool {
			endpoint, _ := p.(map[string]any)
			return change != nil && endpoint != nil && endpoint["name"] == change["name"]
		})
		if at < 0 {
			return fmt.Errorf("line %d: the integration %q has no endpoint of that name to change", e.line(fmt.Sprintf("/endpoints/%d", n)), e.Name)
		}
		endpoint, _ := present[at].(map[string]any)
		merge("", endpoint, change)
	}
	return nil
}

// merge merges the members of an object into another, name, whose members it changes.
func merge(name string, into, with map[string]any) {
	for member, value := range with {
		if strings.HasSuffix(name, "headers") { // their names are the same in any case
			for present := range into {
				if strings.EqualFold(present, member) {
					member = present
				}
			}
		}
		before, isObject := into[member].(map[string]any)
		after, staysObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, member)
		case isObject && staysObject && !changesType(member, before, after):
			merge(member, before, after)
		default:
			into[member] = value
		}
	}
}

// changesType reports whether an auth becomes one of another type, to which what was there doesn't belong.
func changesType(member string, before, after map[string]any) bool {
	return member == "auth" && after["type"] != nil && after["type"] != before["type"]
}

// expectedSecret is a secret that an integration has where its configuration comes from, and that
// is not copied from there.
type expectedSecret struct {
	field    string // as domain.SecretRef names it
	authType string // of the auth that it belongs to, "" for a secret elsewhere
	optional bool   // may the auth be without it?
}

// expect records the secrets that the integration has and the service did not generate.
func (e *Entry) expect(i domain.Integration) {
	generated, optional := map[string]bool{}, map[string]bool{}
	for _, auth := range i.Auths() {
		for _, key := range auth.SigningKeys {
			generated[key.PrivateKey.ID] = true
		}
		for _, use := range auth.SecretUses() {
			optional[auth.Secrets[use.Field].ID] = use.Optional
		}
	}
	for _, ref := range i.Secrets() {
		if !generated[ref.ID] {
			e.expected = append(e.expected, expectedSecret{ref.Field, e.locate(ref.Field).authType, optional[ref.ID]})
		}
	}
}

// missing returns the secrets that are expected, not given, and not of the fields that stay.
func (e Entry) missing(stay map[string]bool) (missing []Problem) {
	for _, expected := range e.expected {
		at := e.locate(expected.field)
		_, here := at.parent[at.member] // a header or parameter, even without its secret
		here = here || at.authType != "" && strings.HasSuffix(at.member, "_value")
		given := slices.ContainsFunc(e.secrets, func(s secretField) bool { return s.pointer == at.pointer })
		if !here || given || stay[expected.field] || at.authType != expected.authType {
			continue
		}
		detail := "is a secret, which is never copied: give it"
		if expected.optional {
			detail += ", or an empty string for none"
		}
		if _, isText := at.parent[at.member].(string); isText {
			detail = "is a secret where it comes from, and a text here: write {value: ${NAME}}"
		}
		missing = append(missing, Problem{Problem: domain.Problem{Pointer: at.pointer, Code: "secret_missing", Detail: detail}})
	}
	return missing
}

// fieldsOf returns the fields of the secrets of an integration.
func fieldsOf(i domain.Integration) map[string]bool {
	fields := map[string]bool{}
	for _, ref := range i.Secrets() {
		fields[ref.Field] = true
	}
	return fields
}

// staying returns the fields of the secrets of an integration that the entry leaves in an auth of the
// same type: those of another type are destroyed.
func (e Entry) staying(present domain.Integration) map[string]bool {
	fields, now := fieldsOf(present), Entry{Document: present.Configuration.Document()}
	maps.DeleteFunc(fields, func(field string, _ bool) bool { return now.locate(field).authType != e.locate(field).authType })
	return fields
}

// lost returns the pointers of the secrets that an integration has, and that neither stay nor are
// replaced by one that is given.
func (e Entry) lost(present, after domain.Integration) (pointers []string) {
	remains, found := map[string]bool{}, map[string]bool{}
	for _, ref := range after.Secrets() {
		remains[ref.ID] = true
	}
	for _, ref := range present.Secrets() {
		found[ref.Field] = found[ref.Field] || remains[ref.ID]
	}
	for _, s := range e.secrets {
		if text, _ := s.text(); text != "" {
			found[s.field] = true
		}
	}
	now := Entry{Document: present.Configuration.Document()}
	for _, ref := range present.Secrets() {
		if !found[ref.Field] {
			found[ref.Field] = true
			pointers = append(pointers, now.locate(ref.Field).pointer)
		}
	}
	return pointers
}

// location is where the secret of a field is in a document.
type location struct {
	parent   map[string]any // nil if there is none
	pointer  string
	member   string // its name in parent
	authType string // of the auth that it belongs to, "" for a secret elsewhere
}

// locate returns the location of the secret of a field.
func (e Entry) locate(field string) location {
	at := location{parent: e.Document, member: field}
	if after, ok := strings.CutPrefix(field, "endpoints."); ok {
		at.parent = nil
		endpoints, _ := e.Document["endpoints"].([]any)
		for n, element := range endpoints {
			endpoint, _ := element.(map[string]any)
			name, _ := endpoint["name"].(string)
			if rest, found := strings.CutPrefix(after, name+"."); found && name != "" {
				at.parent, at.pointer, at.member = endpoint, fmt.Sprintf("/endpoints/%d", n), rest
			}
		}
	}
	for _, group := range []string{"auth", "token_params", "token_headers", "headers", "mcp_headers"} {
		rest, ok := strings.CutPrefix(at.member, group+".")
		if !ok {
			continue
		}
		at.parent, _ = at.parent[group].(map[string]any)
		at.pointer, at.member = at.pointer+"/"+group, rest
		if group == "auth" {
			at.authType, _ = at.parent["type"].(string)
		}
	}
	at.pointer += "/" + domain.EscapePointer(at.member)
	return at
}
