package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

const (
	maxDescribing  = 6 << 20 // bytes of a body that holds a document, whose quotes are escaped
	maxDescription = 4 << 20 // bytes of a document
	maxDiscovered  = 1000    // endpoints of a page
)

var descriptionMembers = []string{"continuation_token", "curl", "har", "limit", "openapi", "openapi_url", "postman", "select"}

// describing are the members that hold a description.
var describing = []string{"curl", "har", "openapi", "openapi_url", "postman"}

// discoveryAnswer is the result of a discovery. Each endpoint can be sent in a PUT as it
// is; what is about endpoints is beside them, by name.
type discoveryAnswer struct {
	Source            string            `json:"source"`
	Endpoints         []domain.Offer    `json:"endpoints"`
	Configured        []string          `json:"configured"` // that the integration has
	Notes             []offerNote       `json:"notes"`
	Skipped           []domain.Skipped  `json:"skipped"`
	Total             int               `json:"total"`
	Offered           int               `json:"offered"`
	Truncated         bool              `json:"truncated"`
	ContinuationToken *string           `json:"continuation_token"`
	Error             *string           `json:"error"`
	ErrorCode         *domain.ErrorCode `json:"error_code"`
}

// offerNote is what was simplified in an endpoint.
type offerNote struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

func (s *Server) discover(r *request) (answer, error) {
	doc, _, err := r.body(maxDescribing, true)
	if err != nil {
		return answer{}, err
	}
	return s.offers(r, doc, func(d domain.Description) (domain.Discovery, domain.Integration, error) {
		return s.Commands.Discover(r, r.caller, r.id(), d)
	})
}

// discoverUnsaved lists what the upstream of an integration that is not saved yet offers.
func (s *Server) discoverUnsaved(r *request) (answer, error) {
	doc, _, err := r.body(maxDescribing, false)
	if err != nil {
		return answer{}, err
	}
	unsaved, ok := doc["integration"].(map[string]any)
	if !ok {
		return answer{}, domain.Refuse("/integration", "required", "must be an object, as in the request that creates it")
	}
	delete(doc, "integration")
	return s.offers(r, doc, func(d domain.Description) (domain.Discovery, domain.Integration, error) {
		found, i, err := s.Commands.DiscoverUnsaved(r, r.caller, unsaved, d)
		return found, i, below(err, "/integration")
	})
}

// below moves the problems of a document to where it is in the body.
func below(err error, at string) error {
	refused, ok := errors.AsType[*domain.Error](err)
	if !ok || len(refused.Problems) == 0 {
		return err
	}
	moved := slices.Clone(refused.Problems)
	for n := range moved {
		moved[n].Pointer = at + moved[n].Pointer
	}
	return domain.RefuseAll(moved)
}

// offers answers with what ask finds by the description in doc.
func (s *Server) offers(r *request, doc domain.Document, ask func(domain.Description) (domain.Discovery, domain.Integration, error)) (answer, error) {
	d, token, err := readDescription(doc)
	if err != nil {
		return answer{}, err
	}
	delete(doc, "continuation_token")
	delete(doc, "limit")
	scope := []string{"discover", string(r.workspace), r.Param("id"), describedBy(doc)}
	if !projections.FirstPage(token) {
		place, err := s.Cursors.Open(token, scope...)
		if err != nil {
			return answer{}, err
		}
		if d.After, err = strconv.Atoi(string(place)); err != nil {
			return answer{}, fmt.Errorf("read the place in a discovery: %w", err)
		}
	}
	found, i, err := ask(d)
	if err != nil {
		return answer{}, err
	}
	if r.key.NarrowsEndpoints() { // what is not offered, and how much there is, is not shown either
		found.Offers = slices.DeleteFunc(found.Offers, func(o domain.Offer) bool { return !r.key.Shows(i.Name, o.Name, o.Method) })
		found.Skipped, found.Total = nil, len(found.Offers)
	}
	body := discoveryAnswer{
		Source: found.Source, Endpoints: orEmpty(found.Offers), Configured: []string{}, Notes: []offerNote{}, Skipped: orEmpty(found.Skipped),
		Total: found.Total, Offered: len(found.Offers), Truncated: found.Truncated, Error: nullable(found.Error), ErrorCode: nullable(found.ErrorCode),
	}
	if found.Next > 0 {
		next := s.Cursors.Seal([]byte(strconv.Itoa(found.Next)), scope...)
		body.ContinuationToken = &next
	}
	for _, offer := range found.Offers {
		if slices.ContainsFunc(i.Endpoints, offer.Is) {
			body.Configured = append(body.Configured, offer.Name)
		}
		for _, note := range offer.Notes {
			body.Notes = append(body.Notes, offerNote{offer.Name, note})
		}
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// describedBy identifies what a discovery reads and selects: another document has other
// pages.
func describedBy(doc domain.Document) string {
	data, err := json.Marshal(doc) // its members are sorted
	if err != nil {
		return ""
	}
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// readDescription reads openapi_url; or openapi, postman or har: the document itself, as an
// object or a string; or curl; and what is wanted of it.
func readDescription(doc domain.Document) (d domain.Description, token string, err error) {
	var problems []domain.Problem
	for name, value := range doc {
		detail, code := "", "type"
		switch {
		case value == nil && slices.Contains(descriptionMembers, name):
		case name == "openapi_url":
			var ok bool
			if d.URL, ok = value.(string); !ok {
				detail = "must be a URL"
			} else {
				detail, code = domain.URLProblem(d.URL), "url_invalid"
			}
		case name == "curl":
			text, ok := value.(string)
			if !ok {
				detail = "must be a string: a command, or several"
			}
			d.Text, d.Form = []byte(text), domain.CURL
		case name == "openapi", name == "postman", name == "har":
			d.Form = map[string]domain.Form{"postman": domain.Postman, "har": domain.HAR}[name]
			switch document := value.(type) {
			case string:
				d.Text = []byte(document)
			case map[string]any:
				if d.Text, err = json.Marshal(document); err != nil {
					return d, "", err
				}
			default:
				detail = "must be a document, as an object or a string"
			}
		case name == "select":
			members, ok := value.(map[string]any)
			if !ok {
				detail = "must be an object"
				break
			}
			var wrong []domain.Problem
			d.Select, wrong = domain.ReadSelect(members, "/select")
			problems = append(problems, wrong...)
		case name == "limit":
			number, _ := value.(json.Number)
			if d.Limit, err = strconv.Atoi(string(number)); err != nil || d.Limit < 1 || d.Limit > maxDiscovered {
				detail, code = fmt.Sprintf("must be a whole number from 1 to %d", maxDiscovered), "range"
			}
		case name == "continuation_token":
			var ok bool
			if token, ok = value.(string); !ok {
				detail = "must be a string"
			}
		default:
			problems = append(problems, domain.UnknownMember(pointer(name), name, descriptionMembers))
		}
		if detail != "" {
			problems = append(problems, domain.Problem{Pointer: pointer(name), Code: code, Detail: detail})
		}
	}
	given := slices.DeleteFunc(slices.Clone(describing), func(name string) bool { return doc[name] == nil })
	if len(d.Text) > maxDescription {
		problems = append(problems, domain.Problem{Pointer: pointer(given[0]), Code: "too_large", Detail: fmt.Sprintf("has %d bytes; at most %d are allowed", len(d.Text), maxDescription)})
	}
	if len(given) > 1 {
		problems = append(problems, domain.Problem{Pointer: pointer(given[0]), Code: "not_allowed", Detail: "give one of " + strings.Join(given, " and ") + ", not both"})
	}
	return d, token, domain.RefuseAll(problems)
}
