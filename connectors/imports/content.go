package imports

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

const (
	maxExample    = 200 // characters of an example
	maxDepth      = 8   // of a body that is described
	maxProperties = 300 // of one object that is described
)

// headerProblem returns why an endpoint can't have a header, "" when it can.
func headerProblem(name string) string { return domain.HeaderProblem(name) }

// described returns a schema with a description.
func described(schema map[string]any, about string) map[string]any {
	if about = clean(about, maxExample); about != "" {
		schema["description"] = about
	}
	return schema
}

// scalarOf returns the schema of a text of a URL or a form: its type, and the text as an
// example unless it is a variable or may be a credential.
func scalarOf(text string) map[string]any {
	schema := map[string]any{"type": "string"}
	if text == "" || strings.Contains(text, "{{") || isSecret(text) {
		return schema
	}
	example := any(text)
	switch {
	case text == "true" || text == "false":
		schema["type"], example = "boolean", text == "true"
	case number.MatchString(text) && (len(text) == 1 || text[0] != '0') && len(text) < 16:
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			schema["type"], example = "integer", n
		}
	case len(text) > maxExample:
		return schema
	}
	schema["examples"] = []any{example}
	return schema
}

// addBody adds the body of a request.
func (e *endpoint) addBody(q request) {
	b := q.body
	hasBody := b.kind != noBody && (b.kind != textBody || b.text != "")
	if !hasBody {
		return
	}
	if b.mediaType == "" {
		b.mediaType = mediaOf(headerOf(q.header, "Content-Type"))
	}
	switch b.kind {
	case formBody:
		e.body = &domain.Body{Format: domain.FormBody}
		e.addForm(b.members)
	case multipartBody:
		e.body = &domain.Body{Format: domain.MultipartBody}
		e.addForm(b.members)
	case fileBody:
		e.addWhole(domain.Body{Format: domain.Base64Body, MediaType: b.mediaType}, map[string]any{"type": "string", "contentEncoding": "base64", "description": "The content of a file."})
	case textBody:
		e.addText(b)
	case noBody:
	}
	if e.method == http.MethodGet {
		e.notes = appendNew(e.notes, "a GET with a body, which many servers ignore")
	}
}

// addWhole adds a body that is the value of one property.
func (e *endpoint) addWhole(b domain.Body, schema map[string]any) {
	b.Property = e.property("body", "request", schema)
	e.required = append(e.required, b.Property)
	e.body = &b
}

// addForm adds the members of a form. A name that comes again is an array.
func (e *endpoint) addForm(members []member) {
	for _, m := range members {
		if m.name == "" {
			continue
		}
		schema := scalarOf(m.value)
		switch {
		case m.file:
			schema = map[string]any{"type": "string", "contentEncoding": "base64", "description": "A file."}
		case isSecretName(m.name) || isSecret(m.value):
			e.leaveOut("the value of " + clean(m.name, 64) + " in the body")
			schema = map[string]any{"type": "string"}
		}
		if known := e.properties[m.name]; known != nil && e.inBody[m.name] {
			if known["type"] != "array" {
				e.properties[m.name] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
			}
			continue
		}
		e.addProperty(m.name, described(schema, m.about))
	}
}

// addProperty adds a member of the body.
func (e *endpoint) addProperty(name string, schema map[string]any) {
	called := e.property(name, "body", schema)
	p := domain.Parameter{In: domain.InBody}
	if called != name {
		p.Name = name
	}
	e.parameters[called] = p
	e.inBody[called] = true
}

// addText adds a body of JSON or another text.
func (e *endpoint) addText(b body) {
	mediaType := b.mediaType
	if mediaType == jsonMedia {
		mediaType = ""
	}
	value, ok := decodeJSON(b.text)
	isJSON := b.mediaType == "" || b.mediaType == jsonMedia || strings.HasSuffix(b.mediaType, "+json")
	switch object, isObject := value.(map[string]any); {
	case ok && isJSON && isObject:
		e.body = &domain.Body{Format: domain.JSONBody, MediaType: mediaType}
		d := describer{endpoint: e}
		names := 0
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if names++; names > maxProperties {
				e.notes = appendNew(e.notes, "the body has more members than are described")
				break
			}
			if name != "" {
				e.addProperty(name, d.schema(name, object[name], 1))
			}
		}
	case ok && isJSON:
		e.addWhole(domain.Body{Format: domain.JSONBody, MediaType: mediaType}, (&describer{endpoint: e}).schema("body", value, 1))
	case isJSON && strings.HasPrefix(strings.TrimSpace(b.text), "{"): // not valid, such as one with … in it
		e.body = &domain.Body{Format: domain.JSONBody, MediaType: mediaType}
		e.notes = appendNew(e.notes, "the body is not valid JSON, so its members are not described: every parameter that is not listed goes there")
	default:
		schema := map[string]any{"type": "string"}
		if len(b.text) <= maxExample && !isSecret(b.text) && !strings.ContainsAny(b.text, "<>") {
			schema["examples"] = []any{b.text}
		}
		if mediaType == "" {
			mediaType = "text/plain"
			if b.mediaType == jsonMedia {
				mediaType = jsonMedia
			}
		}
		e.addWhole(domain.Body{Format: domain.TextBody, MediaType: mediaType}, schema)
	}
}

// decodeJSON decodes JSON, also one with variables in place of values.
func decodeJSON(text string) (any, bool) {
	for _, s := range []string{text, unquotedVariables(text)} {
		decoder := json.NewDecoder(bytes.NewReader([]byte(s)))
		decoder.UseNumber()
		var v any
		if decoder.Decode(&v) == nil && !decoder.More() {
			return v, true
		}
	}
	return nil, false
}

// unquotedVariables writes variables that stand outside of a string as strings.
func unquotedVariables(text string) string {
	var b strings.Builder
	quoted := false
	for n := 0; n < len(text); n++ {
		switch c := text[n]; {
		case c == '\\' && quoted && n+1 < len(text):
			b.WriteString(text[n : n+2])
			n++
		case c == '"':
			quoted = !quoted
			b.WriteByte(c)
		case !quoted && strings.HasPrefix(text[n:], "{{"):
			end := strings.Index(text[n:], "}}")
			if end < 0 {
				return text
			}
			written, _ := json.Marshal(text[n : n+end+2])
			b.Write(written)
			n += end + 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// describer makes schemas of values.
type describer struct{ endpoint *endpoint }

// schema returns the schema of a value of JSON, with examples of what it holds.
func (d *describer) schema(name string, v any, depth int) map[string]any {
	switch v := v.(type) {
	case string:
		switch {
		case isSecretName(name) || isSecret(v):
			d.endpoint.leaveOut("the value of " + clean(name, 64) + " in the body")
			return map[string]any{"type": "string"}
		case variable(v) != "" || v == "" || len(v) > maxExample || strings.Contains(v, "{{"):
			return map[string]any{"type": "string"}
		}
		return map[string]any{"type": "string", "examples": []any{v}}
	case bool:
		return map[string]any{"type": "boolean", "examples": []any{v}}
	case json.Number:
		if isSecretName(name) {
			d.endpoint.leaveOut("the value of " + clean(name, 64) + " in the body")
			return map[string]any{"type": "number"}
		}
		if f, err := v.Float64(); err == nil && f == math.Trunc(f) && !strings.ContainsAny(v.String(), ".eE") {
			return map[string]any{"type": "integer", "examples": []any{v}}
		}
		return map[string]any{"type": "number", "examples": []any{v}}
	case []any:
		schema := map[string]any{"type": "array"}
		if len(v) > 0 && depth < maxDepth {
			schema["items"] = d.schema(name, v[0], depth+1)
			if slices.ContainsFunc(v, func(one any) bool { return kindOf(one) != kindOf(v[0]) }) {
				schema["items"] = map[string]any{}
			}
		} else {
			schema["items"] = map[string]any{}
		}
		return schema
	case map[string]any:
		schema := map[string]any{"type": "object"}
		if depth >= maxDepth || len(v) > maxProperties {
			return schema
		}
		properties := map[string]any{}
		for _, member := range slices.Sorted(maps.Keys(v)) {
			if member != "" {
				properties[member] = d.schema(member, v[member], depth+1)
			}
		}
		schema["properties"] = properties
		return schema
	}
	return map[string]any{} // null may be anything
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}
