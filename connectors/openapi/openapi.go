// Package openapi reads OpenAPI 3.0, 3.1 and 3.2 and Swagger 2.0, and offers their
// operations as endpoints whose requests are what the document describes.
//
// Its promise: nothing in a document is relied on, references lead inside it only, a
// bad part costs that part only, what is left out is reported, and the time and memory
// of an operation are bounded and end with the context.
package openapi

import (
	"context"
	"errors"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// Document is an OpenAPI or Swagger document as plain data.
type Document struct {
	root    map[string]any
	swagger bool // version 2.0, whose operations are converted one by one
	draft   bool // 3.1 or later, whose schemas are JSON Schema 2020-12
}

// Read reads a document in JSON or YAML. An error is the rest of a sentence about it.
func Read(ctx context.Context, text []byte) (*Document, error) {
	value, isJSON := jsonvalue.Decode(text) // JSON is YAML as well; its own reader is stricter and faster
	if !isJSON {
		read, err := readYAML(ctx, text)
		if err != nil {
			return nil, err
		}
		value = read
	}
	root, _ := value.(map[string]any)
	version, _ := jsonvalue.Scalar(root["openapi"])
	old, _ := jsonvalue.Scalar(root["swagger"])
	paths, _ := root["paths"].(map[string]any)
	swagger := version == "" && strings.HasPrefix(old, "2")
	switch {
	case !swagger && !strings.HasPrefix(version, "3"):
		return nil, errors.New("it has neither an openapi member that begins with 3 nor swagger: 2.0")
	case len(paths) == 0:
		return nil, errors.New("it has no paths")
	}
	return &Document{root: root, swagger: swagger, draft: !swagger && !strings.HasPrefix(version, "3.0")}, nil
}
