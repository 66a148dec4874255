package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/domain"
)

// discover offers what can be read, searched for and created by the CapabilityStatement.
// Updates and deletions are left out: what an LLM may change
// should be written down by a person.
func (c fhirConnector) discover(ctx context.Context, i domain.Integration, open domain.Keyring) (domain.Discovery, *callerror.Error) {
	found := domain.Discovery{Source: "CapabilityStatement"}
	r, e := c.metadata(i, open)
	if e == nil {
		e = c.sign(ctx, r)
	}
	if e != nil {
		return found, e
	}
	got, _, e := c.do(ctx, r, domain.RetryConfig{})
	if e == nil {
		e = got.Error()
	}
	if e != nil {
		return found, e
	}
	statement, _, e := capabilities(ctx, got)
	if e != nil {
		return found, e
	}
	statement, _ = r.Request.Scrubber().Value(statement).(map[string]any)
	found.Offers = fhirOffers(statement)
	if len(found.Offers) > maxOffers {
		found.Offers, found.Truncated = found.Offers[:maxOffers], true
	}
	return found, nil
}

var (
	resourceType = regexp.MustCompile(`^[A-Z][A-Za-z]{1,63}$`)
	searchName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	humps        = regexp.MustCompile(`([a-z])([A-Z])`)
)

func fhirOffers(statement map[string]any) []domain.Offer {
	var offers []domain.Offer
	server, _ := jsonvalue.FirstElement(statement["rest"]).(map[string]any)
	resources, _ := server["resource"].([]any)
	for _, one := range resources {
		resource, _ := one.(map[string]any)
		kind := jsonvalue.FirstString(resource["type"])
		if !resourceType.MatchString(kind) {
			continue
		}
		name := strings.ToLower(humps.ReplaceAllString(kind, "${1}_$2"))
		interactions, _ := resource["interaction"].([]any)
		for _, i := range interactions {
			interaction, _ := i.(map[string]any)
			switch interaction["code"] {
			case "read":
				offers = append(offers, fhirOffer("get_"+name, "Read one "+kind+".", http.MethodGet, "/"+kind+"/{id}",
					map[string]any{"id": map[string]any{"type": "string"}}, "id"))
			case "search-type":
				offers = append(offers, fhirOffer("search_"+name, fmt.Sprintf("Search for resources of type %s.", kind), http.MethodGet, "/"+kind, searchable(resource)))
			case "create":
				offers = append(offers, fhirOffer("create_"+name, "Create a "+kind+".", http.MethodPost, "/"+kind,
					map[string]any{"resourceType": map[string]any{"const": kind}}, "resourceType"))
			}
		}
	}
	return offers
}

// searchable returns the search parameters of a resource as properties.
func searchable(resource map[string]any) map[string]any {
	properties := map[string]any{}
	parameters, _ := resource["searchParam"].([]any)
	for _, one := range parameters {
		p, _ := one.(map[string]any)
		name := jsonvalue.FirstString(p["name"])
		if !searchName.MatchString(name) {
			continue
		}
		property := map[string]any{"type": "string"}
		if about := openapi.Description(jsonvalue.FirstString(p["documentation"])); about != "" {
			property["description"] = about
		}
		properties[name] = property
	}
	return properties
}

func fhirOffer(name, description, method, path string, properties map[string]any, required ...string) domain.Offer {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	data, err := json.Marshal(schema)
	if err != nil {
		data = []byte(`{}`)
	}
	return domain.Offer{Name: name, Description: description, Method: method, Path: path, InputSchema: data, BodyFormat: "json"}
}
