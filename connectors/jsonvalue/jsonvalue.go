// Package jsonvalue reads the JSON of upstreams into plain values, and writes
// such values.
//
// Its promise: a number stays as it is written, and a text is valid UTF-8.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Decode returns the JSON value in body, else body as text. An empty body is nil.
func Decode(body []byte) (value any, isJSON bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return Text(body), false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Text(body), false
	}
	return value, true
}

// Text returns body as valid UTF-8.
func Text(body []byte) string { return strings.ToValidUTF8(string(body), "\uFFFD") }

// Compact returns v as JSON on one line, with numbers and HTML as they are.
func Compact(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// CountMarks counts the bytes of a document, in JSON or YAML, that may begin a
// value. The document has at most one value more.
func CountMarks(document []byte) int {
	n := 0
	for _, b := range document {
		switch b {
		case ',', ':', '[', '{', '\n', '-', '?':
			n++
		}
	}
	return n
}

// FirstString returns the first value that is a string and not empty, else "".
func FirstString(values ...any) string {
	for _, v := range values {
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// FirstElement returns the first element of an array, else nil.
func FirstElement(v any) any {
	if all, ok := v.([]any); ok && len(all) > 0 {
		return all[0]
	}
	return nil
}

// Abbreviate returns the first characters of s, up to a limit, and … where there are more.
func Abbreviate(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// Scalar returns a string, a number or a boolean as text, and whether v is one. A
// number stays as it is written.
func Scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}
