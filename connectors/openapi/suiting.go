package openapi

import (
	"mime"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// suiting returns a media of text or bytes as its schema describes the body. An object or
// an array travels as JSON where the media type allows for that: YAML is a superset of
// JSON, and documents write application/octet-stream where they know nothing better.
func (m media) suiting(schema map[string]any) media {
	name, _, _ := mime.ParseMediaType(m.mediaType)
	_, sub, _ := strings.Cut(name, "/")
	switch {
	case structured(schema) && (strings.HasSuffix(sub, "yaml") || sub == "yml"):
		m.format = domain.JSONBody
	case structured(schema) && name == "application/octet-stream":
		m.format, m.mediaType, m.instead = domain.JSONBody, jsonType, m.mediaType
	case structured(schema) && name == "application/form-data":
		m.format, m.mediaType, m.instead = domain.MultipartBody, multipartType, m.mediaType
	case m.format == domain.Base64Body && schema["type"] == "string" && (schema["format"] == "byte" || schema["format"] == "base64" || schema["contentEncoding"] == "base64"):
		m.format = domain.TextBody // it is base64 on the wire as well
	case m.format == domain.Base64Body && schema["type"] == "string" && schema["format"] == nil && schema["contentMediaType"] == nil && !ofBytes(name):
		m.format = domain.TextBody
	}
	return m
}

// structured reports whether a schema describes an object or an array, other than of files.
func structured(schema map[string]any) bool {
	properties, _ := schema["properties"].(map[string]any)
	parts, _ := schema["allOf"].([]any)
	items, isArray := schema["items"].(map[string]any)
	_, hasValues := schema["additionalProperties"].(map[string]any)
	return len(properties) > 0 || len(parts) > 1 || isArray && !isFile(items) || hasValues
}

// ofBytes reports whether a media type is one of files that are no text.
func ofBytes(name string) bool {
	kind, sub, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"image", "audio", "video", "font", "model"}, kind) ||
		slices.Contains([]string{"octet-stream", "zip", "gzip", "x-gzip", "tar", "x-tar", "pdf", "msword", "protobuf", "x-protobuf", "msgpack", "x-msgpack", "cbor", "avro", "wasm"}, sub) ||
		strings.HasPrefix(sub, "vnd.ms-") || strings.HasPrefix(sub, "vnd.openxmlformats") || strings.HasSuffix(sub, "+zip") || strings.HasSuffix(sub, "+cbor")
}
