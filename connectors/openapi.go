package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// openAPI is an OpenAPI 3 document as plain data. It is somebody else's, so
// nothing in it is relied on, and references lead inside it only.
type openAPI struct {
	root map[string]any
	left int // parts of schemas that may still be written out
}

const (
	mostParts  = 200_000 // of all schemas written out: references to references make many
	mostNested = 6       // references inside each other; what is deeper takes anything
)

// methods are those that an endpoint may have, in the order they are offered.
var methods = []string{"get", "post", "put", "patch", "delete"}

func readOpenAPI(ctx context.Context, text []byte) (*openAPI, error) {
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
	return &openAPI{root: root, left: mostParts}, nil
}

// server returns the URL of the first server.
func (o *openAPI) server() string {
	first, _ := firstOf(o.root["servers"]).(map[string]any)
	return firstText(first["url"])
}

// offers returns every operation as an endpoint, in the order of the paths.
func (o *openAPI) offers(baseURL, prefix string) []domain.Offer {
	var all []domain.Offer
	names := map[string]bool{}
	paths, _ := o.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := o.follow(paths[path])
		for _, method := range methods {
			operation, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			offer := domain.Offer{
				Name:        offerName(firstText(operation["operationId"], method+path)),
				Description: told(firstText(operation["summary"]), firstText(operation["description"]), strings.ToUpper(method)+" "+path),
				Method:      strings.ToUpper(method), Path: prefix + path, BaseURL: baseURL,
			}
			if offer.Name == "" || names[offer.Name] {
				offer.Name = offerName(method + path)
			}
			if names[offer.Name] || offer.Name == "" {
				continue // two operations that can't be told apart
			}
			names[offer.Name] = true
			offer.InputSchema, offer.BodyFormat = o.input(item, operation)
			all = append(all, offer)
		}
	}
	return all
}

// input returns the parameters and the body of an operation as one schema, and
// how the body travels.
func (o *openAPI) input(item, operation map[string]any) (schema json.RawMessage, format string) {
	properties, required := map[string]any{}, []string{}
	for _, holder := range []map[string]any{item, operation} {
		parameters, _ := holder["parameters"].([]any)
		for _, one := range parameters {
			p := o.follow(one)
			name, in := firstText(p["name"]), firstText(p["in"])
			if name == "" || in != "path" && in != "query" {
				continue
			}
			property, _ := o.inline(p["schema"], 0).(map[string]any)
			if property == nil {
				property = map[string]any{}
			}
			if says := told(firstText(p["description"])); says != "" && property["description"] == nil {
				property["description"] = says
			}
			properties[name] = property
			if (in == "path" || p["required"] == true) && !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
	}
	format = "json"
	content, _ := o.follow(operation["requestBody"])["content"].(map[string]any)
	for _, kind := range []struct{ media, format string }{{plainJSON, "json"}, {"application/x-www-form-urlencoded", "form"}} {
		media, ok := content[kind.media].(map[string]any)
		if !ok {
			continue
		}
		body, _ := o.inline(media["schema"], 0).(map[string]any)
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
func (o *openAPI) follow(v any) map[string]any {
	for range mostNested {
		object, _ := v.(map[string]any)
		ref, ok := object["$ref"].(string)
		if !ok {
			return object
		}
		v = o.lookUp(ref)
	}
	return nil
}

// lookUp returns what a reference inside the document leads to, else nil.
func (o *openAPI) lookUp(ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var v any = o.root
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
func (o *openAPI) inline(v any, depth int) any {
	switch v := v.(type) {
	case map[string]any:
		if o.left--; o.left < 0 || depth > mostNested {
			return map[string]any{}
		}
		if ref, ok := v["$ref"].(string); ok {
			return o.inline(o.lookUp(ref), depth+1)
		}
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			if members, ok := inner.(map[string]any); ok && name == "properties" {
				named := make(map[string]any, len(members)) // whatever they are called
				for member, schema := range members {
					named[member] = o.inline(schema, depth)
				}
				clean[name] = named
			} else if !slices.Contains(notSchema, name) {
				clean[name] = o.inline(inner, depth)
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
			clean[n] = o.inline(inner, depth)
		}
		return clean
	}
	return v
}
