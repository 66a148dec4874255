package connectors

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/serialization"
	"github.com/seed677028b5/integrations/domain"
)

// placed are the parameters of a call by where they travel. Those in the path are not
// among them.
type placed struct {
	query   map[string][]serialization.Member // by property
	header  map[string]string
	cookies []string
	inBody  map[string]any // by property
	hasBody bool
	whole   any // the body, when it is one value
	isWhole bool
}

// placeParameters puts parameters where the endpoint lists them. What isn't listed goes to
// the query template of the path, else to the body when there is a described one, else to
// the query for GET and DELETE, else to the body.
func placeParameters(e domain.Endpoint, params map[string]any) (placed, []domain.Problem) {
	body, described := e.RequestBody()
	at := placed{
		query: map[string][]serialization.Member{}, header: map[string]string{}, inBody: map[string]any{},
		hasBody: described && body.Format != domain.NoBody || !described && e.Method != http.MethodGet && e.Method != http.MethodDelete,
	}
	rest := domain.InBody
	if !at.hasBody || body.Property != "" {
		rest = domain.InQuery
	}
	if body.Property != "" {
		at.whole, at.isWhole = params[body.Property]
		at.hasBody = at.isWhole && (at.whole != nil || body.Format == domain.JSONBody)
	}
	var problems []domain.Problem
	template := e.QueryTemplate()
	for _, property := range slices.Sorted(maps.Keys(params)) {
		if body.Property != "" && property == body.Property {
			continue
		}
		p, listed := e.Parameters[property]
		if explode, inTemplate := template[property]; inTemplate && !listed {
			p = domain.Parameter{In: domain.InQuery, Explode: &explode}
		}
		problems = append(problems, at.put(property, params[property], p, cmp.Or(p.In, rest))...)
	}
	return at, problems
}

// put puts one parameter where it travels. Null is no value but in a body of JSON.
func (at *placed) put(property string, v any, p domain.Parameter, place string) []domain.Problem {
	name := p.WireName(property)
	var misfits []serialization.Misfit
	switch {
	case place == domain.InBody:
		at.inBody[property], at.hasBody = v, true
	case v == nil:
	case place == domain.InQuery:
		at.query[property], misfits = serialization.Query(name, v, p)
	case place == domain.InHeader:
		var value string
		if value, misfits = serialization.Header(v, p); !httpguts.ValidHeaderFieldValue(value) {
			return []domain.Problem{paramProblem(property, "header_invalid", notInHeader)}
		}
		at.header[name] = value
	case place == domain.InCookie:
		var pairs []string
		pairs, misfits = serialization.Cookie(name, v, p)
		at.cookies = append(at.cookies, pairs...)
	}
	return misfit(property, misfits)
}

// members returns the query in the order of the properties.
func (at placed) members() []serialization.Member {
	var all []serialization.Member
	for _, property := range slices.Sorted(maps.Keys(at.query)) {
		all = append(all, at.query[property]...)
	}
	return all
}

// body returns the body and its media type.
func (at placed) body(e domain.Endpoint, jsonType string) ([]byte, string, []domain.Problem, error) {
	body, _ := e.RequestBody()
	if at.isWhole {
		data, mediaType, misfits := serialization.Whole(body, at.whole, jsonType)
		return data, mediaType, misfit(body.Property, misfits), nil
	}
	var problems []domain.Problem
	content := serialization.Content{Members: at.inBody, Listed: e.Parameters, JSONType: jsonType}
	if body.Format == domain.MultipartBody {
		content.Schemas = propertySchemas(e)
	}
	data, mediaType, misfits, err := serialization.Object(body, content)
	for _, property := range slices.Sorted(maps.Keys(misfits)) {
		problems = append(problems, misfit(property, misfits[property])...)
	}
	return data, mediaType, problems, err
}

// withID puts the id of a FHIR update into the resource, which must have it (HL7 FHIR R4,
// RESTful API, update).
func (at placed) withID(params map[string]any) placed {
	id, given := params["id"]
	resource, isObject := at.whole.(map[string]any)
	switch {
	case !given:
	case isObject && resource["id"] == nil:
		resource = maps.Clone(resource)
		resource["id"] = id
		at.whole = resource
	case !at.isWhole && at.inBody["id"] == nil:
		at.inBody["id"] = id
	}
	return at
}

// propertySchemas returns the schemas of the properties of an endpoint.
func propertySchemas(e domain.Endpoint) map[string]map[string]any {
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if json.Unmarshal(e.InputSchema, &schema) != nil {
		return nil
	}
	schemas := make(map[string]map[string]any, len(schema.Properties))
	for property, of := range schema.Properties {
		schemas[property], _ = of.(map[string]any)
	}
	return schemas
}

func misfit(property string, misfits []serialization.Misfit) []domain.Problem {
	var problems []domain.Problem
	for _, m := range misfits {
		p := paramProblem(property, "type", m.Detail)
		p.Pointer += m.At
		problems = append(problems, p)
	}
	return problems
}
