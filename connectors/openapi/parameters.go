package openapi

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const maxParameters = 400 // of one operation

// parameter is a Parameter Object of OpenAPI 3.
type parameter struct {
	name, in string
	required bool
	members  map[string]any
}

// parameters returns those of the path item and of the operation, which replace the
// former by name and place.
func (b *builder) parameters() []parameter {
	var all []parameter
	for _, holder := range []map[string]any{b.operation.item, b.operation.members} {
		list, _ := holder["parameters"].([]any)
		for _, one := range list {
			members, problem := b.document.follow(one)
			p := parameter{name: jsonvalue.FirstString(members["name"]), in: jsonvalue.FirstString(members["in"]), required: members["required"] == true, members: members}
			if problem == "" && (p.name == "" || p.in == "") {
				problem = "has no name or no place"
			}
			if problem != "" {
				b.notes.add("a parameter is left out: it %s", problem)
				continue
			}
			if same := slices.IndexFunc(all, p.replaces); same >= 0 {
				all[same] = p
				continue
			}
			if len(all) == maxParameters {
				b.notes.add("parameters after the first %d are left out", maxParameters)
				return all
			}
			all = append(all, p)
		}
	}
	order := []string{domain.InPath, domain.InQuery, "querystring", domain.InHeader, domain.InCookie}
	slices.SortStableFunc(all, func(a, b parameter) int { return slices.Index(order, a.in) - slices.Index(order, b.in) })
	return all
}

func (p parameter) replaces(other parameter) bool {
	return p.in == other.in && (p.name == other.name || p.in == domain.InHeader && strings.EqualFold(p.name, other.name))
}

// place adds one parameter to the offer.
func (b *builder) place(p parameter) {
	switch p.in {
	case domain.InPath:
		b.placeInPath(p)
	case domain.InQuery:
		switch {
		case b.fixedQuery[p.name]:
			b.notes.add("the parameter %s is left out: the path sets it", quoted(p.name))
		case b.in.AuthQuery != "" && b.in.AuthQuery == p.name:
			b.notes.add("the parameter %s is left out: auth sets it", quoted(p.name))
		default:
			b.add(p)
		}
	case "querystring":
		b.placeQueryString(p)
	case domain.InHeader:
		b.placeHeader(p)
	case domain.InCookie:
		if !httpguts.ValidHeaderFieldName(p.name) || len(p.name) > 128 {
			b.leaveOut(p, "it is not the name of a cookie")
			return
		}
		b.add(p)
	case "body", "formData": // of Swagger, converted before
	default:
		b.leaveOut(p, "there is no such place as "+quoted(p.in))
	}
}

// leaveOut notes a parameter that can't travel. Without one that is required there is no
// offer.
func (b *builder) leaveOut(p parameter, why string) {
	if p.required && b.problem == "" {
		b.problem = "it needs the " + p.in + " parameter " + quoted(p.name) + ": " + why
	}
	b.notes.add("the %s parameter %s is left out: %s", p.in, quoted(p.name), why)
}

func (b *builder) placeInPath(p parameter) {
	for name, original := range b.placeholders {
		if original != p.name && strings.TrimSuffix(strings.TrimLeft(original, "+/"), "*") != p.name {
			continue
		}
		p.name, p.required = name, true // how it is called matters to the path only
		if b.taken[name] > 0 {
			return
		}
		b.add(p)
		return
	}
	b.notes.add("the path parameter %s is left out: the path has no such placeholder", quoted(p.name))
}

// fillPath adds a property for each placeholder that no parameter describes.
func (b *builder) fillPath() {
	for name, original := range b.placeholders {
		if b.taken[name] == 0 {
			b.add(parameter{name: name, in: domain.InPath, required: true, members: map[string]any{"schema": map[string]any{"type": "string"}}})
			b.notes.add("the placeholder %s has no parameter: it takes any string", quoted(original))
		}
	}
}

// ignoredHeaders are those that OpenAPI ignores as parameters, since other parts of a
// document describe them (OpenAPI 3.1, Parameter Object, name), and Cookie.
var ignoredHeaders = []string{"Accept", "Content-Type", "Authorization", "Cookie"}

func (b *builder) placeHeader(p parameter) {
	schema := b.document.object(p.members["schema"])
	value, fixed := onlyValue(schema)
	if slices.ContainsFunc(ignoredHeaders, func(name string) bool { return strings.EqualFold(name, p.name) }) {
		accepts := strings.EqualFold(p.name, "Accept")
		if list, _ := schema["enum"].([]any); !fixed && p.required {
			value, fixed = jsonvalue.Scalar(jsonvalue.FirstElement(list))
		}
		if fixed && (accepts || strings.EqualFold(p.name, "Content-Type") && !b.hasBody) && usableHeader(value) {
			b.headers[http.CanonicalHeaderKey(p.name)] = value // documents require them, such as for their versions
			b.onlyAccept = b.onlyAccept || accepts && (schema["enum"] != nil || schema["const"] != nil)
		}
		return
	}
	if b.in.AuthHeader != "" && strings.EqualFold(b.in.AuthHeader, p.name) {
		b.notes.add("the header %s is left out: auth sets it", quoted(p.name))
		return
	}
	if why := domain.HeaderProblem(p.name); why != "" {
		b.leaveOut(p, why)
		return
	}
	if fixed && p.required && usableHeader(value) {
		b.headers[p.name] = value
		return
	}
	b.add(p)
}

func usableHeader(value string) bool {
	return domain.HeaderValueProblem(value) == "" && !strings.ContainsAny(value, "{}")
}

// onlyValue returns the value of a header that has one only, or a default, such as the
// version of an API.
func onlyValue(schema map[string]any) (string, bool) {
	values, _ := schema["enum"].([]any)
	for _, v := range []any{schema["const"], schema["default"], jsonvalue.FirstElement(values)} {
		if text, ok := jsonvalue.Scalar(v); ok && (len(values) == 1 || schema["const"] != nil || schema["default"] != nil) {
			return text, true
		}
	}
	return "", false
}

// placeQueryString adds the members of a parameter that is the whole query (OpenAPI 3.2).
func (b *builder) placeQueryString(p parameter) {
	content, _ := p.members["content"].(map[string]any)
	media := b.document.object(content[formType])
	schema, _ := flattened(b.schemas.schema(media["schema"], place{at: pointerTo("", p.name)}))
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		b.leaveOut(p, "only a query of named members can be sent")
		return
	}
	required := texts(schema["required"])
	for name, property := range properties {
		b.addSchema(parameter{name: name, in: domain.InQuery, required: slices.Contains(required, name)}, property.(map[string]any), domain.Parameter{})
	}
}

// add adds a parameter by its schema or its content.
func (b *builder) add(p parameter) {
	at := pointerTo("", p.name)
	travels := domain.Parameter{}
	schema := p.members["schema"]
	if content, ok := p.members["content"].(map[string]any); ok && schema == nil {
		for mediaType, media := range content {
			schema = b.document.object(media)["schema"]
			if kindOf(mediaType) == domain.JSONBody {
				travels.Style = "json"
			}
			break // it has one only
		}
		if travels.Style == "" {
			if b.document.object(schema)["type"] != "string" {
				b.notes.add("%s takes a text: its media type can't be made of parts", at)
			}
			schema = map[string]any{"type": "string"}
		} else if p.in == domain.InPath {
			travels.Style, schema = "", map[string]any{"type": "string"}
			b.notes.add("%s takes JSON as a text", at)
		}
	} else {
		travels = b.style(p)
	}
	property := b.schemas.schema(schema, place{at: at})
	if about := b.schemas.text(strings.TrimSpace(jsonvalue.FirstString(p.members["description"]))); about != "" && property["description"] == nil {
		property["description"] = about
	}
	b.addSchema(p, property, travels)
}

// style returns how a parameter is written, where that is not the default.
func (b *builder) style(p parameter) domain.Parameter {
	var travels domain.Parameter
	style, explode := jsonvalue.FirstString(p.members["style"]), p.members["explode"]
	usual, known := styles[p.in][0], slices.Contains(styles[p.in], style)
	if style != "" && !known {
		b.notes.add("the style %s of %s is left out: its place has no such style", quoted(style), quoted(p.name))
	}
	if known && style != usual {
		travels.Style = style
	}
	if exploded, ok := explode.(bool); ok && exploded != (travels.Style == "" && usual == "form") && travels.Style != "deepObject" {
		travels.Explode = &exploded
	}
	travels.AllowReserved = p.in == domain.InQuery && p.members["allowReserved"] == true
	return travels
}

// styles are those of OpenAPI by place. The first is the default.
var styles = map[string][]string{
	domain.InPath:   {"simple", "label", "matrix"},
	domain.InQuery:  {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	domain.InHeader: {"simple"},
	domain.InCookie: {"form"},
	domain.InBody:   {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
}

// addSchema adds a property, and lists it where it would travel another way otherwise.
func (b *builder) addSchema(p parameter, schema map[string]any, travels domain.Parameter) {
	name := p.name
	if b.taken[name] > 0 {
		name = p.in + "_" + name
	}
	name = free(b.taken, name, 256)
	shape := shapeOf(schema)
	if shape == nested && travels.Style != "deepObject" && travels.Style != "json" {
		travels = domain.Parameter{Style: "json"}
		b.notes.add("%s travels as JSON: OpenAPI does not define how its nested values travel", quoted(p.name))
		if p.in == domain.InPath {
			travels.Style, schema = "", map[string]any{"type": "string"}
		}
	}
	if shape == scalar && travels.Style != "json" && p.in != domain.InPath {
		travels.Style, travels.Explode = "", nil // they are about arrays and objects
	}
	if name != p.name {
		travels.Name = p.name
	}
	usual := b.method == "GET" || b.method == "DELETE"
	listed := travels != (domain.Parameter{}) || p.in == domain.InHeader || p.in == domain.InCookie ||
		p.in == domain.InQuery && (!usual || b.hasBody || shape == other) || p.in == domain.InPath && shape != scalar
	if listed {
		travels.In = p.in
		b.listed[name] = travels
	}
	b.properties[name] = schema
	if p.required {
		b.required = append(b.required, name)
	}
}
