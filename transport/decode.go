package transport

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxBody     = 1 << 20
	maxTestBody = 256 << 10
	maxDepth    = 64
)

// body reads the body of a request as a strict JSON object, and also returns its bytes. If
// optional, an empty body reads as an empty object.
func (r *request) body(limit int64, optional bool) (domain.Document, []byte, error) {
	data, err := r.bytes(limit)
	if err != nil {
		return nil, nil, err
	}
	if len(data) == 0 && optional {
		return domain.Document{}, data, nil
	}
	if media, _, err := mime.ParseMediaType(r.GetHeader("Content-Type")); err != nil || media != "application/json" {
		return nil, nil, domain.Errorf(domain.Unsupported, "media_type_unsupported", "send the body as application/json")
	}
	if coding := r.GetHeader("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, nil, domain.Errorf(domain.Unsupported, "content_coding_unsupported", "send the body without a Content-Encoding")
	}
	if err := r.admit(data); err != nil {
		return nil, nil, err
	}
	doc, err := decode(data)
	return doc, data, err
}

// bytes reads the body of a request. One whose length is announced as too large is refused
// before it is sent (RFC 9110, 10.1.1).
func (r *request) bytes(limit int64) ([]byte, error) {
	tooLarge := domain.Errorf(domain.TooLarge, "body_too_large", "the body exceeds the limit of %d bytes", limit)
	if r.Request.ContentLength > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(http.MaxBytesReader(r.Writer, r.Request.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, domain.Errorf(domain.TooSlow, "body_too_slow", "the body did not arrive in time")
	}
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "body_unreadable", "the body could not be read completely")
	}
	return data, nil
}

// admit waits for memory for the decoded form of a body.
func (r *request) admit(data []byte) error {
	soon, cancel := context.WithTimeout(r.ctx, admission.Patience)
	defer cancel()
	return admission.Request(soon, data)
}

// pointer returns the JSON pointer of a member of the body (RFC 6901).
func pointer(name string) string {
	return "/" + domain.EscapePointer(name)
}

// decode decodes exactly one JSON object (RFC 8259). It refuses input that decoders treat
// differently: duplicate members and text that is not UTF-8.
func decode(data []byte) (domain.Document, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	value, err := decodeValue(dec)
	if err == nil {
		if _, err = dec.ReadToken(); err == nil {
			return nil, domain.Refuse("", "malformed_json", "there is data after the JSON object")
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return nil, malformed(err)
	}
	doc, ok := value.(map[string]any)
	if !ok {
		return nil, domain.Refuse("", "type", "must be a JSON object")
	}
	return doc, nil
}

// decodeValue decodes the next value; numbers stay as they are written.
func decodeValue(dec *jsontext.Decoder) (any, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if dec.StackDepth() > maxDepth {
		return nil, domain.Refuse("", "too_deep", "the body is nested deeper than %d levels", maxDepth)
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String())
	case '[':
		return decodeArray(dec)
	default:
		return decodeObject(dec)
	}
}

// number keeps a number as it is written, if every decoder can represent it (RFC 7493, 2.2).
func number(text string) (any, error) {
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return nil, domain.Refuse("", "number_too_large", "the body contains a number that is too large")
	}
	return stdjson.Number(text), nil
}

func decodeArray(dec *jsontext.Decoder) (any, error) {
	array := []any{}
	for dec.PeekKind() != ']' {
		value, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := dec.ReadToken()
	return array, err
}

func decodeObject(dec *jsontext.Decoder) (any, error) {
	object := map[string]any{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		member := name.String() // a token is invalid after the next read
		if object[member], err = decodeValue(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return object, err
}

// malformed returns what is wrong with a body without quoting it.
func malformed(err error) error {
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return domain.Refuse("", "malformed_json", "the body ends before its JSON does")
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && ok:
		return domain.Refuse(string(syntax.JSONPointer), "duplicate_member", "is a duplicate")
	case ok:
		return domain.Refuse(string(syntax.JSONPointer), "malformed_json", "the body is not JSON at byte %d", syntax.ByteOffset)
	}
	return domain.Refuse("", "malformed_json", "the body is not JSON")
}

// unknownMembers returns a problem for each member of an object that is not among
// its names.
func unknownMembers(at string, members map[string]any, names ...string) []domain.Problem {
	var problems []domain.Problem
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(names, name) {
			problems = append(problems, domain.UnknownMember(at+pointer(name), name, names))
		}
	}
	return problems
}
