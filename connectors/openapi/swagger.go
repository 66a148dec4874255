package openapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// separated is the member of an Encoding Object that a collectionFormat becomes where no
// style expresses it.
const separated = "x-separated"

// converted returns an operation of Swagger 2.0 as OpenAPI 3 has it. References stay as
// they are: they lead into the document.
func (d *Document) converted(o Operation) Operation {
	item, members := map[string]any{}, maps.Clone(o.members)
	delete(members, "requestBody")
	var parameters, form []any
	collected := (&builder{document: d, operation: o, notes: &notes{}}).parameters()
	for _, p := range collected {
		switch p.in {
		case domain.InBody:
			content := map[string]any{}
			for _, mediaType := range d.mediaTypes(o, "consumes") {
				content[mediaType] = map[string]any{"schema": p.members["schema"]}
			}
			members["requestBody"] = map[string]any{"required": p.required, "description": p.members["description"], "content": content}
		case "formData":
			form = append(form, p.members)
		default:
			parameters = append(parameters, parameterOf(p))
		}
	}
	for _, holder := range []map[string]any{o.item, o.members} { // what can't be read is noted later
		all, _ := holder["parameters"].([]any)
		for _, one := range all {
			if found, problem := d.follow(one); problem != "" || jsonvalue.FirstString(found["in"]) == "" {
				parameters = append(parameters, one)
			}
		}
	}
	if len(form) > 0 {
		members["requestBody"] = d.formBody(o, form)
	}
	members["parameters"] = parameters
	members["servers"] = d.swaggerServers(o)
	members["responses"] = d.swaggerResponses(o)
	o.item, o.members = item, members
	return o
}

// mediaTypes returns those of an operation, else those of the document, else JSON. An
// empty list of an operation replaces that of the document (Swagger 2.0, Operation Object).
func (d *Document) mediaTypes(o Operation, member string) []string {
	for _, holder := range []map[string]any{o.members, d.root} {
		list, given := holder[member].([]any)
		if all := texts(list); len(all) > 0 {
			return all
		}
		if given {
			break
		}
	}
	return []string{jsonType}
}

// ofParameter are the members of a Parameter or Items Object that are no keywords of its
// schema.
var ofParameter = []string{"name", "in", "required", "description", "collectionFormat", "allowEmptyValue"}

// parameterOf returns a parameter outside of the body, with its schema.
func parameterOf(p parameter) map[string]any {
	out := map[string]any{"name": p.name, "in": p.in, "required": p.required, "description": p.members["description"]}
	schema := without(p.members, ofParameter...)
	out["schema"] = schema
	if schema["type"] != "array" {
		return out
	}
	style, explode, separator := collection(p.members["collectionFormat"], p.in)
	if separator != "" {
		out["schema"] = separatedBy(separator, schema)
		return out
	}
	if out["explode"] = explode; style != "" {
		out["style"] = style
	}
	return out
}

// collection returns the style of a collectionFormat, or what separates the values where
// no style does.
func collection(format any, in string) (style string, explode bool, separator string) {
	inQuery := in == domain.InQuery || in == "formData"
	switch {
	case format == "multi" && inQuery:
		return "", true, ""
	case format == "ssv" && inQuery:
		return "spaceDelimited", false, ""
	case format == "pipes" && inQuery:
		return "pipeDelimited", false, ""
	case format == "ssv":
		return "", false, " "
	case format == "pipes":
		return "", false, "|"
	case format == "tsv":
		return "", false, "\t"
	}
	return "", false, ""
}

var separatorNames = map[string]string{",": "commas", " ": "spaces", "\t": "tabs", "|": "|"}

// separatedBy returns the schema of a text that has the values of an array.
func separatedBy(separator string, array map[string]any) map[string]any {
	about := "Values, separated by " + separatorNames[separator] + "."
	if text := jsonvalue.FirstString(array["description"]); text != "" {
		about = text + " " + about
	}
	return map[string]any{"type": "string", "description": about}
}

// formBody returns the body that formData parameters make.
func (d *Document) formBody(o Operation, form []any) map[string]any {
	properties, encoding, required := map[string]any{}, map[string]any{}, []any{}
	consumes := d.mediaTypes(o, "consumes")
	mediaType := formType
	if !slices.Contains(consumes, formType) && slices.Contains(consumes, multipartType) {
		mediaType = multipartType
	}
	for _, one := range form {
		if members, _ := one.(map[string]any); members["type"] == "file" {
			mediaType = multipartType
		}
	}
	for _, one := range form {
		members, _ := one.(map[string]any)
		name := jsonvalue.FirstString(members["name"])
		schema := without(members, ofParameter...)
		if about := members["description"]; about != nil {
			schema["description"] = about
		}
		if schema["type"] == "file" {
			schema["type"], schema["format"] = "string", "binary"
		}
		properties[name] = schema
		if members["required"] == true {
			required = append(required, name)
		}
		if schema["type"] != "array" {
			continue
		}
		style, explode, separator := collection(members["collectionFormat"], "formData")
		how := map[string]any{"explode": explode}
		switch {
		case separator != "":
			how[separated] = separator
		case mediaType == multipartType && !explode:
			how[separated] = map[string]string{"": ",", "spaceDelimited": " ", "pipeDelimited": "|"}[style]
		case style != "":
			how["style"] = style
		}
		encoding[name] = how
	}
	return map[string]any{"required": len(required) > 0, "content": map[string]any{mediaType: map[string]any{
		"schema": map[string]any{"type": "object", "properties": properties, "required": required}, "encoding": encoding,
	}}}
}

// swaggerServers returns the host of the document with the schemes of the operation.
func (d *Document) swaggerServers(o Operation) []any {
	host, base := jsonvalue.FirstString(d.root["host"]), jsonvalue.FirstString(d.root["basePath"])
	scheme, after, whole := strings.Cut(host, "://") // which the specification forbids, and documents have
	if whole {
		host = after
	}
	if host = strings.TrimRight(host, "/"); base != "" && base[0] != '/' && host != "" {
		base = "/" + base
	}
	if host == "" {
		if base == "" {
			return nil
		}
		return []any{map[string]any{"url": base}}
	}
	schemes := texts(d.root["schemes"])
	if own := texts(o.members["schemes"]); len(own) > 0 {
		schemes = own
	}
	if len(schemes) == 0 && whole {
		schemes = []string{scheme}
	}
	if len(schemes) == 0 {
		return []any{map[string]any{"url": "//" + host + base}}
	}
	var servers []any
	for _, scheme := range []string{"https", "http"} {
		if slices.Contains(schemes, scheme) {
			servers = append(servers, map[string]any{"url": scheme + "://" + host + strings.TrimRight(base, "/")})
		}
	}
	return servers
}

// swaggerResponses returns which media types the successful responses have.
func (d *Document) swaggerResponses(o Operation) map[string]any {
	content := map[string]any{}
	for _, mediaType := range d.mediaTypes(o, "produces") {
		content[mediaType] = map[string]any{}
	}
	return map[string]any{"200": map[string]any{"content": content}}
}
