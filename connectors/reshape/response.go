package reshape

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/binding"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Response is an answer of an upstream, without secrets.
type Response struct {
	Status int
	Header http.Header
	Value  any  // decoded JSON, a description of what is binary, else text; nil: empty
	IsJSON bool // Value is JSON
}

// The variables that every expression may use besides the answer itself.
const (
	// headersVariable has the headers: an object of names in lower case, where the
	// values of one name are joined as RFC 9110, 5.3 has it.
	headersVariable = "$response_headers"
	// statusVariable has the status, as a number.
	statusVariable = "$status_code"
)

func (r Response) bindings() binding.Bindings {
	headers := make(map[string]any, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return binding.NewBindings().Register(headersVariable, headers).Register(statusVariable, json.Number(strconv.Itoa(r.Status)))
}

// created returns the headers of an empty answer that name what was created or changed
// (RFC 9110, 8.7, 8.8.3 and 10.2.2), as JSON; "" where there are none.
func (r Response) created() (string, error) {
	named := map[string]any{}
	for member, name := range map[string]string{"location": "Location", "content_location": "Content-Location", "operation_location": "Operation-Location", "etag": "Etag"} {
		if value := r.Header.Get(name); value != "" {
			named[member] = value
		}
	}
	if len(named) == 0 || r.Status < 200 || r.Status > 299 {
		return "", nil
	}
	return jsonvalue.Compact(named)
}

// readsResponse reports whether an expression of e uses more than the answer itself. A
// template that can't be parsed does not.
func readsResponse(e domain.Endpoint) bool {
	expressions := append(slices.Collect(maps.Values(e.ResponseMapping)), e.ResponseFilter...)
	if e.ResultKey != "" {
		expressions = append(expressions, e.ResultKey)
	}
	for _, text := range expressions {
		if compiled, err := compile(text); err == nil && readsVariable(compiled.node) {
			return true
		}
	}
	t, err := parseTemplate(e.ResultTemplate)
	return err == nil && slices.ContainsFunc(t.parts, func(p templatePart) bool { return p.path != nil && readsVariable(p.path.node) })
}

func readsVariable(node parsing.ASTNode) bool {
	if node.NodeType == parsing.ASTVariable && (node.Value == headersVariable || node.Value == statusVariable) {
		return true
	}
	return slices.ContainsFunc(node.Children, readsVariable)
}
