package openapi

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const maxReferences = 20 // that lead from one to the next

// lookUp returns what a reference inside the document leads to: a JSON pointer (RFC
// 6901), percent-encoded as in a URL. The problem is "" or the rest of a sentence.
func (d *Document) lookUp(ref string) (v any, problem string) {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil, "leads out of the document or to no place in it"
	}
	v = d.root
	for step := range strings.SplitSeq(path, "/") {
		written := step
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		parent := v
		var found bool
		v, found = domain.PointedChild(parent, step)
		if members, isObject := parent.(map[string]any); isObject && !found { // some documents write names as they are
			v, found = members[written]
		}
		if !found {
			return nil, "leads to nothing"
		}
	}
	return v, ""
}

// follow returns an object, or the one that it refers to.
func (d *Document) follow(v any) (object map[string]any, problem string) {
	for range maxReferences {
		object, isObject := v.(map[string]any)
		if !isObject {
			return nil, "is not an object"
		}
		ref, ok := object["$ref"].(string)
		if !ok {
			return object, ""
		}
		if v, problem = d.lookUp(ref); problem != "" {
			return nil, fmt.Sprintf("refers to %s, which %s", quoted(ref), problem)
		}
	}
	return nil, "refers to itself"
}

// object is follow without the problem.
func (d *Document) object(v any) map[string]any {
	found, _ := d.follow(v)
	return found
}

// quoted returns a text of the document for a note.
func quoted(s string) string { return strconv.Quote(jsonvalue.Abbreviate(s, 100)) }
