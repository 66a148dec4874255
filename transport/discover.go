package transport

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/seed677028b5/integrations/domain"
)

// discoveryAnswer is the result of a discovery.
type discoveryAnswer struct {
	Source    string            `json:"source"`
	Endpoints []offerAnswer     `json:"endpoints"`
	Truncated bool              `json:"truncated"`
	Error     *string           `json:"error"`
	ErrorCode *domain.ErrorCode `json:"error_code"`
}

type offerAnswer struct {
	domain.Offer
	Configured bool `json:"configured"` // the integration has an endpoint of that name
}

func (s *Server) discover(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, true)
	if err != nil {
		return answer{}, err
	}
	d, err := readDescription(doc)
	if err != nil {
		return answer{}, err
	}
	found, i, err := s.Commands.Discover(r, r.caller, r.id(), d)
	if err != nil {
		return answer{}, err
	}
	body := discoveryAnswer{
		Source: found.Source, Endpoints: make([]offerAnswer, len(found.Offers)), Truncated: found.Truncated,
		Error: nullable(found.Error), ErrorCode: nullable(found.ErrorCode),
	}
	for n, offer := range found.Offers {
		body.Endpoints[n] = offerAnswer{Offer: offer, Configured: slices.ContainsFunc(i.Endpoints, func(e domain.Endpoint) bool {
			return e.Name == offer.Name || e.Method == offer.Method && e.Path == offer.Path && e.BaseURL == offer.BaseURL && e.Path != ""
		})}
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// readDescription reads openapi_url, or openapi: the document itself, as an object or a
// string.
func readDescription(doc domain.Document) (d domain.Description, err error) {
	var problems []domain.Problem
	for name, value := range doc {
		detail, code := "", "type"
		switch {
		case value == nil && (name == "openapi_url" || name == "openapi"):
		case name == "openapi_url":
			var ok bool
			if d.URL, ok = value.(string); !ok {
				detail = "must be a URL"
			} else {
				detail, code = domain.URLProblem(d.URL), "url_invalid"
			}
		case name == "openapi":
			switch document := value.(type) {
			case string:
				d.Text = []byte(document)
			case map[string]any:
				if d.Text, err = json.Marshal(document); err != nil {
					return d, err
				}
			default:
				detail = "must be an OpenAPI document, as an object or a string"
			}
		default:
			problems = append(problems, domain.UnknownMember(pointer(name), name, []string{"openapi", "openapi_url"}))
		}
		if detail != "" {
			problems = append(problems, domain.Problem{Pointer: pointer(name), Code: code, Detail: detail})
		}
	}
	if d.URL != "" && len(d.Text) > 0 {
		problems = append(problems, domain.Problem{Pointer: "/openapi", Code: "not_allowed", Detail: "give openapi_url or openapi, not both"})
	}
	return d, domain.RefuseAll(problems)
}
