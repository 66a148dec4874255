package openapi

import (
	"cmp"
	"maps"
	"mime"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const (
	jsonType      = "application/json"
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

const maxMedias = 50 // that are looked at

// media is one way in which a body may travel.
type media struct {
	mediaType string // as it is sent
	format    string
	instead   string // the media type of the document, if another one is sent
	members   map[string]any
	rank      int
}

// kindOf returns the format of a media type, "" for one that can't be sent.
func kindOf(mediaType string) string {
	name, _, _ := mime.ParseMediaType(mediaType)
	kind, sub, _ := strings.Cut(name, "/")
	switch {
	case name == formType:
		return domain.FormBody
	case name == multipartType || name == "multipart/*":
		return domain.MultipartBody
	case kind == "multipart":
		return ""
	case name == jsonType || strings.HasSuffix(sub, "+json") || name == "text/json" || name == "*/*" || name == "application/*":
		return domain.JSONBody
	case kind == "text" || slices.Contains([]string{"xml", "yaml", "x-yaml", "ndjson", "x-ndjson", "jsonl", "jsonlines", "json-seq", "javascript", "graphql", "sql"}, sub) || strings.HasSuffix(sub, "+xml") || strings.HasSuffix(sub, "+yaml"):
		return domain.TextBody
	}
	return domain.Base64Body
}

// instead are media types that are sent for those that only name a kind.
var instead = map[string]string{
	"*/*": jsonType, "application/*": jsonType, "multipart/*": multipartType, "text/*": "text/plain", "image/*": "image/png", "audio/*": "audio/mpeg", "video/*": "video/mp4",
}

// medias returns the ways in which a body may travel, the best first.
func (b *builder) medias(content map[string]any) []media {
	var all []media
	names := slices.Sorted(maps.Keys(content))
	for _, name := range names[:min(len(names), maxMedias)] {
		m := media{mediaType: name, format: kindOf(name), members: b.document.object(content[name])}
		plain, _, err := mime.ParseMediaType(name)
		schema := b.document.object(m.members["schema"])
		switch {
		case err != nil || m.format == "":
			continue
		case plain == "*/*" && (schema["format"] == "binary" || schema["contentMediaType"] != nil):
			m.mediaType, m.format = "application/octet-stream", domain.Base64Body
		case instead[plain] != "":
			m.mediaType = instead[plain]
		case strings.Contains(plain, "*"):
			m.mediaType = "application/octet-stream"
		}
		m.rank = slices.Index([]string{domain.JSONBody, domain.FormBody, domain.MultipartBody, domain.TextBody, domain.Base64Body}, m.format) * 10
		switch {
		case plain == jsonType:
		case strings.Contains(plain, "*"):
			m.rank += 4
		case plain == "application/json-patch+json":
			m.rank += 3
		case plain == "application/merge-patch+json": // which stands for all of a merge, where others are one vendor's
			m.rank++
		default:
			m.rank += 2
		}
		if m.format == domain.MultipartBody && b.hasFile(schema) {
			m.rank = 9 // a form can't hold files
		}
		if m.format == domain.TextBody || m.format == domain.Base64Body {
			m = m.suiting(schema)
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b media) int { return cmp.Compare(a.rank, b.rank) })
	return all
}

// hasFile reports whether a property of a schema is a file.
func (b *builder) hasFile(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	for _, property := range properties {
		members := b.document.object(property)
		if only, ok := exceptNull(members); ok {
			members = b.document.object(only)
		}
		if isFile(members) || isFile(b.document.object(members["items"])) {
			return true
		}
	}
	return false
}

// requestBody adds the body of the operation.
func (b *builder) requestBody(given map[string]any, content map[string]any) {
	required := given["required"] == true
	medias := b.medias(content)
	if len(medias) == 0 {
		b.leaveOut(parameter{name: "body", in: domain.InBody, required: required}, "its media type can't be sent: "+quoted(strings.Join(slices.Sorted(maps.Keys(content)), ", ")))
		b.hasBody = false
		return
	}
	m := medias[0]
	if m.instead != "" {
		b.notes.add("the body travels as %s: %s can't be made of parameters", m.mediaType, m.instead)
	}
	schema := b.schemas.schema(m.members["schema"], place{at: "body"})
	if properties, has := schema["properties"].(map[string]any); (b.method == "GET" || b.method == "DELETE") && !required && has && len(properties) == 0 && onlyTyped(schema) {
		b.hasBody = false // documents give one to every operation
		return
	}
	about := b.schemas.text(strings.TrimSpace(jsonvalue.FirstString(given["description"])))
	switch m.format {
	case domain.JSONBody:
		flat, ok := flattened(schema)
		if !ok {
			b.whole(m, schema, about, required)
			return
		}
		if name, _, _ := mime.ParseMediaType(m.mediaType); name != jsonType || m.mediaType != jsonType {
			b.body = &domain.Body{Format: m.format, MediaType: m.mediaType}
		} else if b.method == "GET" || b.method == "DELETE" {
			b.body = &domain.Body{Format: m.format}
		}
		b.bodyMembers(flat, func(string, map[string]any) (domain.Parameter, map[string]any) { return domain.Parameter{}, nil })
	case domain.FormBody, domain.MultipartBody:
		b.body = &domain.Body{Format: m.format, MediaType: m.mediaType}
		if m.mediaType == formType || m.mediaType == multipartType {
			b.body.MediaType = ""
		}
		flat, ok := flattened(schema)
		if !ok {
			flat = b.united(schema)
		}
		encoding, _ := m.members["encoding"].(map[string]any)
		b.bodyMembers(flat, func(name string, property map[string]any) (domain.Parameter, map[string]any) {
			return b.encoded(m.format, name, property, b.document.object(encoding[name]))
		})
	case domain.TextBody:
		if schema["type"] != "string" {
			schema = map[string]any{"type": "string", "description": "The whole body, as " + m.mediaType + "."}
			b.notes.add("the body takes a text: %s can't be made of parameters", m.mediaType)
		}
		b.whole(m, schema, about, required)
	case domain.Base64Body:
		if structured(schema) {
			b.notes.add("the body takes a file: %s can't be made of parameters", m.mediaType)
		}
		b.whole(m, map[string]any{"type": "string", "contentEncoding": "base64", "contentMediaType": m.mediaType}, about, required)
	}
}

// onlyTyped reports whether a schema takes any object, and has nothing to describe.
func onlyTyped(schema map[string]any) bool {
	return schema["type"] == "object" && len(without(schema, "type", "properties", "description", "title")) == 0
}

// whole adds a property whose value is the body.
func (b *builder) whole(m media, schema map[string]any, about string, required bool) {
	if about != "" && schema["description"] == nil {
		schema["description"] = about
	}
	name := free(b.taken, "body", maxName)
	b.properties[name] = schema
	if required {
		b.required = append(b.required, name)
	}
	b.body = &domain.Body{Format: m.format, MediaType: m.mediaType, Property: name}
	if m.mediaType == jsonType {
		b.body.MediaType = ""
	}
}

// bodyMembers adds the members of a body as properties. encode returns how one travels,
// and another schema where that needs one.
func (b *builder) bodyMembers(flat map[string]any, encode func(string, map[string]any) (domain.Parameter, map[string]any)) {
	properties, _ := flat["properties"].(map[string]any)
	required := texts(flat["required"])
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		schema, _ := properties[name].(map[string]any)
		travels, replaced := encode(name, schema)
		if replaced != nil {
			schema = replaced
		}
		property := name
		_, placed := b.listed[name]
		switch {
		case b.taken[name] > 0 && b.placeholders[name] != "" && !placed && shapeOf(schema) == scalar && travels == (domain.Parameter{}):
			travels.In = domain.InBody // it travels in both places
		case b.taken[name] > 0:
			property = free(b.taken, "body_"+name, 256)
			travels.Name = name
		default:
			b.taken[name] = 1
		}
		if travels != (domain.Parameter{}) || b.method == "GET" || b.method == "DELETE" {
			travels.In = domain.InBody
			b.listed[property] = travels
		}
		b.properties[property] = schema
		if slices.Contains(required, name) && !slices.Contains(b.required, property) {
			b.required = append(b.required, property)
		}
	}
	for _, name := range required {
		if _, has := properties[name]; !has && b.taken[name] == 0 {
			b.taken[name], b.properties[name] = 1, map[string]any{}
			b.required = append(b.required, name)
		}
	}
	if more, has := flat["additionalProperties"]; has {
		b.additional = more
	}
	if b.offer.Description == b.operation.Title() { // nothing better describes it
		b.offer.Description = Description(jsonvalue.FirstString(flat["description"]), b.offer.Description)
	}
}
