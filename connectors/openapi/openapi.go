// Package openapi reads OpenAPI 3 documents, and lists their operations as endpoints.
//
// Its promise: nothing in a document is relied on, references lead inside it only,
// and reading takes time and memory that grow with its length.
package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Document is an OpenAPI 3 document as plain data.
type Document struct {
	root map[string]any
	left int // parts of schemas that may still be written out
}

const (
	maxParts       = 200_000 // of all schemas written out: references to references make many
	maxNesting     = 6       // references inside each other; what is deeper accepts anything
	maxName        = 128     // characters of an endpoint's name
	maxDescription = 2048    // characters of an endpoint's description
)

// methods are those that an endpoint may have, in the order of the list.
var methods = []string{"get", "post", "put", "patch", "delete"}

// Read reads a document in JSON or YAML. An error is the rest of a sentence about it.
func Read(ctx context.Context, text []byte) (*Document, error) {
	var root map[string]any
	if json.Unmarshal(text, &root) != nil { // JSON is YAML as well; its own reader is stricter and faster
		read, err := readYAML(ctx, text)
		if err != nil {
			return nil, err
		}
		root, _ = read.(map[string]any)
	}
	version, _ := root["openapi"].(string)
	paths, _ := root["paths"].(map[string]any)
	switch {
	case !strings.HasPrefix(version, "3."):
		return nil, errors.New("it has no openapi member that begins with 3")
	case len(paths) == 0:
		return nil, errors.New("it has no paths")
	}
	return &Document{root: root, left: maxParts}, nil
}

// Server returns the URL of the first server.
func (d *Document) Server() string {
	server, _ := jsonvalue.FirstElement(d.root["servers"]).(map[string]any)
	return jsonvalue.FirstString(server["url"])
}

// Offers returns every operation as an endpoint, in the order of the paths, with
// this base URL and this prefix of their paths.
func (d *Document) Offers(baseURL, prefix string) []domain.Offer {
	var all []domain.Offer
	names := map[string]bool{}
	paths, _ := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := d.follow(paths[path])
		for _, method := range methods {
			operation, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			offer := domain.Offer{
				Name:        EndpointName(jsonvalue.FirstString(operation["operationId"], method+path)),
				Description: Description(jsonvalue.FirstString(operation["summary"]), jsonvalue.FirstString(operation["description"]), strings.ToUpper(method)+" "+path),
				Method:      strings.ToUpper(method), Path: prefix + path, BaseURL: baseURL,
			}
			if offer.Name == "" || names[offer.Name] {
				offer.Name = EndpointName(method + path)
			}
			if names[offer.Name] || offer.Name == "" {
				continue // two operations of one name
			}
			names[offer.Name] = true
			offer.InputSchema, offer.BodyFormat = d.input(item, operation)
			all = append(all, offer)
		}
	}
	return all
}

// input returns the parameters and the body of an operation as one schema, and
// how the body travels.
func (d *Document) input(item, operation map[string]any) (schema json.RawMessage, format string) {
	properties, required := map[string]any{}, []string{}
	for _, holder := range []map[string]any{item, operation} {
		parameters, _ := holder["parameters"].([]any)
		for _, one := range parameters {
			p := d.follow(one)
			name, in := jsonvalue.FirstString(p["name"]), jsonvalue.FirstString(p["in"])
			if name == "" || in != "path" && in != "query" {
				continue
			}
			property, _ := d.inline(p["schema"], 0).(map[string]any)
			if property == nil {
				property = map[string]any{}
			}
			if about := Description(jsonvalue.FirstString(p["description"])); about != "" && property["description"] == nil {
				property["description"] = about
			}
			properties[name] = property
			if (in == "path" || p["required"] == true) && !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
	}
	format = "json"
	content, _ := d.follow(operation["requestBody"])["content"].(map[string]any)
	for _, kind := range []struct{ media, format string }{{"application/json", "json"}, {"application/x-www-form-urlencoded", "form"}} {
		media, ok := content[kind.media].(map[string]any)
		if !ok {
			continue
		}
		body, _ := d.inline(media["schema"], 0).(map[string]any)
		members, _ := body["properties"].(map[string]any)
		maps.Copy(properties, members)
		names, _ := body["required"].([]any)
		for _, name := range names {
			if s, ok := name.(string); ok && !slices.Contains(required, s) {
				required = append(required, s)
			}
		}
		format = kind.format
		break
	}
	whole := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		whole["required"] = required
	}
	data, err := json.Marshal(whole)
	if err != nil {
		return json.RawMessage(`{}`), format
	}
	return data, format
}

// follow returns an object, or the one that it refers to.
func (d *Document) follow(v any) map[string]any {
	for range maxNesting {
		object, _ := v.(map[string]any)
		ref, ok := object["$ref"].(string)
		if !ok {
			return object
		}
		v = d.lookUp(ref)
	}
	return nil
}

// lookUp returns what a reference inside the document leads to, else nil.
func (d *Document) lookUp(ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var v any = d.root
	for step := range strings.SplitSeq(path, "/") {
		object, _ := v.(map[string]any)
		v = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	return v
}

// notSchema are the words of OpenAPI that a JSON Schema has no use for.
var notSchema = []string{"example", "xml", "discriminator", "externalDocs", "nullable", "deprecated", "readOnly", "writeOnly"}

// excludes makes a number of a limit that OpenAPI 3.0 excludes by true or false.
func excludes(schema map[string]any, limit, exclusive string) {
	excluded, ok := schema[exclusive].(bool)
	if !ok {
		return
	}
	delete(schema, exclusive)
	if n, limited := schema[limit]; limited && excluded {
		schema[exclusive] = n
		delete(schema, limit)
	}
}

// inline returns a schema with its references written out, depth of them inside
// each other. What refers to itself or makes too much of it becomes a schema
// that takes anything.
func (d *Document) inline(v any, depth int) any {
	switch v := v.(type) {
	case map[string]any:
		if d.left--; d.left < 0 || depth > maxNesting {
			return map[string]any{}
		}
		if ref, ok := v["$ref"].(string); ok {
			return d.inline(d.lookUp(ref), depth+1)
		}
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			if members, ok := inner.(map[string]any); ok && name == "properties" {
				named := make(map[string]any, len(members)) // whatever they are called
				for member, schema := range members {
					named[member] = d.inline(schema, depth)
				}
				clean[name] = named
			} else if !slices.Contains(notSchema, name) {
				clean[name] = d.inline(inner, depth)
			}
		}
		if t, ok := clean["type"].(string); ok && v["nullable"] == true {
			clean["type"] = []any{t, "null"}
		}
		excludes(clean, "minimum", "exclusiveMinimum")
		excludes(clean, "maximum", "exclusiveMaximum")
		return clean
	case []any:
		clean := make([]any, len(v))
		for n, inner := range v {
			clean[n] = d.inline(inner, depth)
		}
		return clean
	}
	return v
}
