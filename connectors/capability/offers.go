package capability

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// about is what an endpoint does with what.
type about struct{ kind, interaction string }

// offer returns an endpoint.
func (a about) offer(name, description, method, path string, properties map[string]any, required ...string) domain.Offer {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	data, err := json.Marshal(schema)
	if err != nil {
		data = []byte(`{}`)
	}
	return domain.Offer{Name: name, Description: description, Method: method, Path: path, InputSchema: data, BodyFormat: "json", ResourceType: a.kind, Interaction: a.interaction}
}

var (
	idProperty    = map[string]any{"id": map[string]any{"type": "string", "description": "The logical id of the resource."}}
	matchProperty = map[string]any{"If-Match": map[string]any{"type": "string", "description": `The version that is changed, such as W/"3": the ETag of a read. Without it, the latest one is.`}}
	countProperty = map[string]any{"_count": map[string]any{"type": []any{"integer", "string"}, "description": "How many resources a page has."}}
	sinceProperty = map[string]any{"_since": map[string]any{"type": "string", "description": "An instant: only what changed after it."}}
)

// offers returns the endpoints of a resource, and what can't be one.
func (r *resource) offers(s *server) (offers []domain.Offer, skipped []domain.Skipped) {
	name, path := snake(r.kind), "/"+r.kind
	match := map[string]any{}
	inHeader := domain.Parameters{}
	if r.versioned {
		match = matchProperty
		inHeader["If-Match"] = domain.Parameter{In: domain.InHeader}
	}
	if len(r.interactions)+len(r.operations) == 0 {
		skipped = append(skipped, domain.Skipped{Operation: r.kind, Reason: "the statement names no interaction with it"})
	}
	for _, interaction := range r.interactions {
		a := about{r.kind, interaction}
		text := func(s string) string { return sentence(s, r.documented[interaction]) }
		var o domain.Offer
		switch interaction {
		case "read":
			o = a.offer("get_"+name, text("Read one "+r.kind+"."), http.MethodGet, path+"/{id}", idProperty, "id")
		case "vread":
			o = a.offer("get_"+name+"_version", text("Read one version of a "+r.kind+"."), http.MethodGet, path+"/{id}/_history/{vid}",
				merged(idProperty, map[string]any{"vid": map[string]any{"type": "string", "description": "The id of the version."}}), "id", "vid")
		case "search-type":
			o = a.offer("search_"+name, text("Search for resources of type "+r.kind+". A parameter that is an array is repeated: all its values must match. Values joined by commas are alternatives. Numbers and dates may begin with eq, ne, gt, lt, ge or le."),
				http.MethodGet, path, r.search())
			o.Notes = r.notes
		case "create":
			properties, where := r.body(nil), domain.Parameters{}
			if r.ifNoneExist {
				properties["If-None-Exist"] = map[string]any{"type": "string", "description": "A search, such as identifier=http://example.org|1: nothing is created where it finds one."}
				where["If-None-Exist"] = domain.Parameter{In: domain.InHeader}
			}
			o = a.offer("create_"+name, text("Create a "+r.kind+". The parameters are the elements of the resource."), http.MethodPost, path, properties, "resourceType")
			o.Parameters = where
		case "update":
			o = a.offer("update_"+name, text("Replace a "+r.kind+". The parameters are the elements of the whole resource."), http.MethodPut, path+"/{id}", r.body(merged(idProperty, match)), "id", "resourceType")
			o.Parameters = inHeader
		case "patch":
			if !s.jsonPatch {
				skipped = append(skipped, domain.Skipped{Operation: "PATCH " + path + "/{id}", Reason: "the server names other formats than JSON Patch"})
				continue
			}
			o = a.offer("patch_"+name, text("Change a part of a "+r.kind+" with JSON Patch (RFC 6902)."), http.MethodPatch, path+"/{id}", merged(idProperty, match, patchProperty), "id", "patch")
			o.Parameters, o.Body = inHeader, &domain.Body{MediaType: "application/json-patch+json", Format: domain.JSONBody, Property: "patch"}
		case "delete":
			o = a.offer("delete_"+name, text("Delete a "+r.kind+"."), http.MethodDelete, path+"/{id}", merged(idProperty, match), "id")
			o.Parameters = inHeader
		case "history-instance":
			o = a.offer("get_"+name+"_history", text("List the versions of a "+r.kind+"."), http.MethodGet, path+"/{id}/_history", merged(idProperty, countProperty, sinceProperty), "id")
		case "history-type":
			o = a.offer("list_"+name+"_history", text("List the changes of all resources of type "+r.kind+"."), http.MethodGet, path+"/_history", merged(countProperty, sinceProperty))
		default:
			skipped = append(skipped, domain.Skipped{Operation: r.kind + " " + sentence(interaction), Reason: "is no interaction with a resource that is known"})
			continue
		}
		if len(o.Parameters) == 0 {
			o.Parameters = nil
		}
		offers = append(offers, o)
	}
	for _, operation := range r.operations {
		o, reason := offerOperation(r.kind, operation)
		if reason != "" {
			skipped = append(skipped, domain.Skipped{Operation: path + "/$" + sentence(operation), Reason: reason})
			continue
		}
		offers = append(offers, o...)
	}
	return offers, skipped
}

// body returns the properties of a resource that is sent, and more.
func (r *resource) body(more map[string]any) map[string]any {
	return merged(map[string]any{"resourceType": map[string]any{"type": "string", "const": r.kind}}, more)
}

var patchProperty = map[string]any{"patch": map[string]any{
	"type": "array", "description": "The operations, in order.", "minItems": 1,
	"items": map[string]any{
		"type": "object", "required": []any{"op", "path"},
		"properties": map[string]any{
			"op":    map[string]any{"type": "string", "enum": []any{"add", "remove", "replace", "move", "copy", "test"}},
			"path":  map[string]any{"type": "string", "description": "A JSON pointer, such as /name/0/family."},
			"from":  map[string]any{"type": "string"},
			"value": map[string]any{"description": "What is added, replaced or tested."},
		},
	},
}}

// search returns the parameters of a search as properties.
func (r *resource) search() map[string]any {
	properties := merged(countProperty, map[string]any{
		"_sort":    map[string]any{"type": "string", "description": "Search parameters to sort by, joined by commas; - before one sorts down, such as -date."},
		"_summary": map[string]any{"type": "string", "enum": []any{"true", "text", "data", "count", "false"}, "description": "Which part of the resources is returned."},
	})
	for _, p := range r.parameters {
		if slices.Contains([]string{"_include", "_revinclude"}, p.name) {
			continue
		}
		property := map[string]any{"description": sentence(known(p.kind), p.documentation)}
		switch {
		case properties[p.name] != nil: // as FHIR has it
			continue
		case p.kind == "number":
			property["type"], property["items"] = []any{"string", "number", "array"}, map[string]any{"type": []any{"string", "number"}}
		case p.kind == "token":
			property["type"], property["items"] = []any{"string", "boolean", "array"}, map[string]any{"type": []any{"string", "boolean"}}
		default:
			property["type"], property["items"] = []any{"string", "array"}, map[string]any{"type": "string"}
		}
		properties[p.name] = property
	}
	for name, values := range map[string][]string{"_include": r.includes, "_revinclude": r.revIncludes} {
		stated := slices.ContainsFunc(r.parameters, func(p parameter) bool { return p.name == name })
		if len(values) == 0 && !stated {
			continue
		}
		items := map[string]any{"type": "string"}
		const most = 200
		if len(values) > 0 && len(values) <= most && !slices.Contains(values, "*") {
			items["enum"] = values
		}
		what := "Resources that the found ones refer to are returned too."
		if name == "_revinclude" {
			what = "Resources that refer to the found ones are returned too."
		}
		properties[name] = map[string]any{"type": "array", "items": items, "description": what}
	}
	return properties
}

// known returns a type of search parameters with how its values are written (HL7 FHIR R4,
// Search).
func known(kind string) string {
	how := map[string]string{ //nolint:gosec // token is a type of FHIR
		"number":    "",
		"date":      ": such as 2026-05-04, ge2026-05-04 or 2026",
		"string":    ": the beginning of a text",
		"token":     ": a code, or system|code",
		"reference": ": an id, or Type/id",
		"composite": ": values joined by $",
		"quantity":  ": such as 5.4 or 5.4|http://unitsofmeasure.org|mg",
		"uri":       "",
		"special":   "",
	}
	written, ok := how[kind]
	if !ok {
		return ""
	}
	return fmt.Sprintf("FHIR type %s%s.", kind, written)
}

// offers returns the endpoints of the whole server.
func (s *server) offers() []domain.Offer {
	var offers []domain.Offer
	for _, interaction := range s.interactions {
		a := about{"", interaction}
		switch interaction {
		case "transaction", "batch":
			offers = append(offers, a.offer(interaction, "Send several requests at once as a Bundle of type "+interaction+".", http.MethodPost, "", map[string]any{
				"resourceType": map[string]any{"type": "string", "const": "Bundle"},
				"type":         map[string]any{"type": "string", "const": interaction},
				"entry":        map[string]any{"type": "array", "items": map[string]any{"type": "object"}, "description": "Each has request, with method and url, and resource where one is sent."},
			}, "resourceType", "type", "entry"))
		case "search-system":
			offers = append(offers, a.offer("search_all", "Search for resources of several types.", http.MethodGet, "", merged(countProperty, map[string]any{
				"_type": map[string]any{"type": "string", "description": "Types of resources, joined by commas."},
			})))
		case "history-system":
			offers = append(offers, a.offer("list_history", "List the changes of all resources.", http.MethodGet, "/_history", merged(countProperty, sinceProperty)))
		default:
			s.skipped = append(s.skipped, domain.Skipped{Operation: "server " + sentence(interaction), Reason: "is no interaction with a server that is known"})
		}
	}
	for _, operation := range s.operations {
		o, reason := offerOperation("", operation)
		if reason != "" {
			s.skipped = append(s.skipped, domain.Skipped{Operation: "/$" + sentence(operation), Reason: reason})
			continue
		}
		offers = append(offers, o...)
	}
	return offers
}

// operation is how an operation is called.
type operation struct {
	onInstance bool
	parameters []string
}

// operationsOfFHIR are operations of HL7 that change nothing, so that GET calls them, with
// their parameters in the query. A statement has only the URLs of definitions.
var operationsOfFHIR = map[string]operation{
	"Patient everything":       {true, []string{"start", "end", "_since", "_type", "_count"}},
	"Encounter everything":     {true, []string{"_since", "_type", "_count"}},
	"Patient summary":          {true, []string{"profile"}},
	"Composition document":     {true, []string{"persist"}},
	"Observation lastn":        {false, []string{"patient", "subject", "category", "code", "max"}},
	"Observation stats":        {false, []string{"subject", "code", "statistic", "period"}},
	"DocumentReference docref": {false, []string{"patient", "start", "end", "type", "on-demand"}},
	"ValueSet expand":          {false, []string{"url", "filter", "offset", "count"}},
	"ValueSet validate-code":   {false, []string{"url", "code", "system", "display"}},
	"CodeSystem lookup":        {false, []string{"code", "system", "version", "property"}},
	"CodeSystem subsumes":      {false, []string{"codeA", "codeB", "system"}},
	"CodeSystem validate-code": {false, []string{"url", "code", "version"}},
	"ConceptMap translate":     {false, []string{"url", "code", "system", "target"}},
	"Measure evaluate-measure": {true, []string{"periodStart", "periodEnd", "subject", "reportType"}},
	"Group export":             {true, []string{"_outputFormat", "_since", "_type"}},
	"Patient export":           {false, []string{"_outputFormat", "_since", "_type"}},
	" export":                  {false, []string{"_outputFormat", "_since", "_type"}},
}

// offerOperation returns the endpoints of an operation, of a resource or of the whole
// server, or why it can't be offered. One whose definition is not known is called with a
// Parameters resource, as every operation may be (HL7 FHIR R4, OperationDefinition).
func offerOperation(kind, name string) ([]domain.Offer, string) {
	if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
		return nil, "its name can't be a part of a path"
	}
	a, path := about{kind, "$" + name}, "/$"+name
	called := snake(strings.ReplaceAll(name, ".", "_"))
	of := "of the server"
	if kind != "" {
		path, called, of = "/"+kind+path, snake(kind)+"_"+called, "of "+kind
	}
	o, ok := operationsOfFHIR[kind+" "+name]
	if !ok {
		offer := a.offer(called, fmt.Sprintf("Call the operation $%s %s with a Parameters resource.", name, of), http.MethodPost, path, map[string]any{
			"resourceType": map[string]any{"type": "string", "const": "Parameters"},
			"parameter":    map[string]any{"type": "array", "items": map[string]any{"type": "object"}, "description": "Each has name, and resource or a value such as valueString."},
		}, "resourceType")
		if kind != "" {
			offer.Notes = []string{"the statement does not say whether the operation is one of a single resource; its path would then have an id, as /" + kind + "/{id}/$" + name + " has"}
		}
		return []domain.Offer{offer}, ""
	}
	properties, required := map[string]any{}, []string(nil)
	for _, p := range o.parameters {
		properties[p] = map[string]any{"type": []any{"string", "array"}, "items": map[string]any{"type": "string"}}
	}
	if o.onInstance {
		path, properties, required = "/"+kind+"/{id}/$"+name, merged(properties, idProperty), []string{"id"}
	}
	return []domain.Offer{a.offer(called, fmt.Sprintf("Call the operation $%s %s.", name, of), http.MethodGet, path, properties, required...)}, ""
}
