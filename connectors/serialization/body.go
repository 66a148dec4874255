package serialization

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Content is what a body is made of.
type Content struct {
	Members  map[string]any              // by property
	Listed   map[string]domain.Parameter // how members travel that are listed
	Schemas  map[string]map[string]any   // by property; for multipart
	JSONType string                      // the media type of JSON where the body names none
}

// object returns the members by their names on the wire.
func (c Content) object() map[string]any {
	members := make(map[string]any, len(c.Members))
	for property, v := range c.Members {
		members[c.Listed[property].WireName(property)] = v
	}
	return members
}

// ErrNotJSON is the error of a value that can't be written as JSON.
var ErrNotJSON = errors.New("a value can't be written as JSON")

// Object returns a body of members and its media type. Misfits are by property.
func Object(body domain.Body, c Content) (data []byte, mediaType string, misfits map[string][]Misfit, err error) {
	switch body.Format {
	case domain.FormBody:
		var members []Member
		misfits = map[string][]Misfit{}
		for _, property := range slices.Sorted(maps.Keys(c.Members)) {
			p := c.Listed[property]
			more, wrong := Query(p.WireName(property), c.Members[property], p)
			members = append(members, more...)
			if wrong != nil {
				misfits[property] = wrong
			}
		}
		return []byte(Encode(members)), cmp.Or(body.MediaType, "application/x-www-form-urlencoded"), misfits, nil
	case domain.MultipartBody:
		return multipartBody(body, c)
	}
	text, err := jsonvalue.Compact(c.object())
	if err != nil {
		return nil, "", nil, ErrNotJSON
	}
	return []byte(text), cmp.Or(body.MediaType, c.JSONType), nil, nil
}

// Whole returns a body that is one value, and its media type.
func Whole(body domain.Body, v any, jsonType string) (data []byte, mediaType string, misfits []Misfit) {
	text, isText := v.(string)
	switch body.Format {
	case domain.TextBody:
		if !isText {
			return nil, "", []Misfit{{"", "must be a string: it is the body"}}
		}
		return []byte(text), cmp.Or(body.MediaType, "text/plain; charset=utf-8"), nil
	case domain.Base64Body:
		data, err := decodeBase64(text)
		if !isText || err != nil {
			return nil, "", []Misfit{{"", "must be a string of base64: it is the body"}}
		}
		return data, cmp.Or(body.MediaType, "application/octet-stream"), nil
	}
	written, err := jsonvalue.Compact(v)
	if err != nil {
		return nil, "", []Misfit{{"", "can't be written as JSON"}}
	}
	return []byte(written), cmp.Or(body.MediaType, jsonType), nil
}

// decodeBase64 reads base64 in either alphabet, with or without padding (RFC 4648).
func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// multipartBody writes a part for each member (RFC 7578): a file for a string whose
// schema has contentEncoding base64, JSON for an object, a part for each element of an
// array.
func multipartBody(body domain.Body, c Content) ([]byte, string, map[string][]Misfit, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	misfits := map[string][]Misfit{}
	for _, property := range slices.Sorted(maps.Keys(c.Members)) {
		p, schema := c.Listed[property], c.Schemas[property]
		elements, isArray := c.Members[property].([]any)
		if items, ok := schema["items"].(map[string]any); isArray && ok {
			schema = items
		}
		if !isArray || p.Style == "json" {
			elements = []any{c.Members[property]}
		}
		for n, v := range elements {
			if err := writePart(w, p.WireName(property), v, schema); err != nil {
				m := Misfit{Detail: err.Error()}
				if isArray {
					m.At = fmt.Sprintf("/%d", n)
				}
				misfits[property] = append(misfits[property], m)
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", nil, fmt.Errorf("write a multipart body: %w", err)
	}
	kind, parameters, err := mime.ParseMediaType(cmp.Or(body.MediaType, "multipart/form-data"))
	if err != nil {
		kind, parameters = "multipart/form-data", map[string]string{}
	}
	parameters["boundary"] = w.Boundary()
	return b.Bytes(), mime.FormatMediaType(kind, parameters), misfits, nil
}

// quoted escapes the name of a part as browsers do (WHATWG HTML, multipart form data).
func quoted(name string) string {
	return strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22").Replace(name)
}

var errNotBase64 = errors.New("must be a string of base64: it is a file")

// writePart writes one part. Null writes none.
func writePart(w *multipart.Writer, name string, v any, schema map[string]any) error {
	if v == nil {
		return nil
	}
	header := textproto.MIMEHeader{}
	disposition := `form-data; name="` + quoted(name) + `"`
	contentType, _ := schema["contentMediaType"].(string)
	var data []byte
	text, scalar := jsonvalue.Scalar(v)
	switch {
	case schema["contentEncoding"] == "base64":
		file, err := decodeBase64(text)
		if _, isText := v.(string); !isText || err != nil {
			return errNotBase64
		}
		data, contentType = file, cmp.Or(contentType, "application/octet-stream")
		disposition += `; filename="` + quoted(name) + `"`
	case scalar:
		data = []byte(text)
	default:
		written, err := jsonvalue.Compact(v)
		if err != nil {
			return ErrNotJSON
		}
		data, contentType = []byte(written), cmp.Or(contentType, "application/json")
	}
	header.Set("Content-Disposition", disposition)
	if contentType != "" {
		if _, _, err := mime.ParseMediaType(contentType); err == nil {
			header.Set("Content-Type", contentType)
		}
	}
	part, err := w.CreatePart(header)
	if err != nil {
		return err
	}
	_, err = part.Write(data)
	return err
}
