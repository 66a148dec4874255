package connectors

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/imports"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

const maxDescription = 4 << 20 // bytes of a description that is fetched

// A discoverer finds out what an upstream offers.
type discoverer interface {
	discover(context.Context, domain.Integration, domain.Keyring) (domain.Discovery, *callerror.Error)
}

// Discover lists what an upstream offers as endpoints: the operations of a
// description where one is given, else the tools of an MCP server or what the
// CapabilityStatement of a FHIR server names. An error of kind Invalid means that
// a description is needed, or lists what is wrong with it.
func (r *Registry) Discover(ctx context.Context, i domain.Integration, k domain.Keyring, d domain.Description) (domain.Discovery, error) {
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	if d.Given() {
		return r.readDescription(ctx, i, d)
	}
	c, ok := r.connectors[i.Protocol].(discoverer)
	if !ok {
		return domain.Discovery{}, domain.Refuse("/openapi_url", "required", "is required for a REST API, or openapi with the document itself, or curl, postman or har")
	}
	filled, e := forAccount(ctx, domain.Call{Integration: i, Keyring: k})
	var found domain.Discovery
	if e == nil {
		found, e = c.discover(ctx, filled.Integration, filled.Keyring)
	}
	if e != nil {
		found.Error, found.ErrorCode = e.Sentence, e.Code
	}
	found.Offers = slices.DeleteFunc(found.Offers, func(o domain.Offer) bool { return !d.Select.Matches(o.Candidate()) })
	return page(acceptable(ctx, found), d), nil
}

// readDescription reads a description, which is fetched without credentials.
func (r *Registry) readDescription(ctx context.Context, i domain.Integration, d domain.Description) (domain.Discovery, error) {
	found := domain.Discovery{Source: "OpenAPI"}
	if d.URL != "" {
		text, e := r.fetch(ctx, i, d.URL)
		if e != nil {
			found.Error, found.ErrorCode = e.Sentence, e.Code
			return found, nil
		}
		d.Text = text
	}
	if admission.Answer(ctx, admission.Weight(d.Text)) != nil {
		found.Error, found.ErrorCode = callerror.NoRoom, domain.CallResponseTooLarge
		return found, nil
	}
	if d.Form != domain.OpenAPI {
		return readRequests(ctx, found, i, d)
	}
	api, err := openapi.Read(ctx, d.Text)
	switch {
	case ctx.Err() != nil:
		return tookTooLong(found), nil
	case err != nil:
		return domain.Discovery{}, domain.Refuse("/openapi", "openapi_invalid", "is not an OpenAPI 3 or Swagger 2.0 document in JSON or YAML: %v", err)
	}
	return offerOperations(ctx, found, api, i, d), nil
}

// readRequests reads a description that is made of requests.
func readRequests(ctx context.Context, found domain.Discovery, i domain.Integration, d domain.Description) (domain.Discovery, error) {
	of := imports.For{BaseURL: i.BaseURL}
	of.AuthHeader, of.AuthQuery = i.SetByAuth()
	var read imports.Found
	var err, refused error
	switch d.Form {
	case domain.CURL:
		found.Source = "cURL"
		if read, err = imports.Curl(ctx, string(d.Text), of); err != nil {
			refused = domain.Refuse("/curl", "curl_invalid", "is not a cURL command: %v", err)
		}
	case domain.Postman:
		found.Source = "Postman"
		if read, err = imports.Postman(ctx, d.Text, of); err != nil {
			refused = domain.Refuse("/postman", "postman_invalid", "is not a Postman collection of v2.1: %v", err)
		}
	case domain.HAR:
		found.Source = "HAR"
		if read, err = imports.HAR(ctx, d.Text, of); err != nil {
			refused = domain.Refuse("/har", "har_invalid", "is not a HAR file: %v", err)
		}
	case domain.OpenAPI: // is read as a document
	}
	switch {
	case ctx.Err() != nil:
		return tookTooLong(found), nil
	case refused != nil:
		return domain.Discovery{}, refused
	}
	found.Offers, found.Skipped, found.Truncated = read.Offers, read.Skipped, read.Truncated
	return page(acceptable(ctx, found), d), nil
}

// offerOperations adds the page of the operations that d wants.
func offerOperations(ctx context.Context, found domain.Discovery, api *openapi.Document, i domain.Integration, d domain.Description) domain.Discovery {
	operations := slices.DeleteFunc(api.Operations(), func(o openapi.Operation) bool { return !d.Select.Matches(o.Candidate()) })
	found.Total = len(operations)
	accepted := rules(ctx, jsonschema.NewCache())
	in := openapi.Context{BaseURL: i.BaseURL, Found: d.URL}
	in.AuthHeader, in.AuthQuery = i.SetByAuth()
	room := roomOf(d)
	for n := min(d.After, len(operations)); n < len(operations); n++ {
		if room.offers == 0 {
			found.Next, found.Truncated = n, true
			break
		}
		offer, reason := api.Offer(ctx, operations[n], in, func(o domain.Offer) []domain.Problem { return o.Problems(accepted) })
		if ctx.Err() != nil {
			return tookTooLong(found)
		}
		if reason != "" {
			found.Skipped = append(found.Skipped, domain.Skipped{Operation: operations[n].Title(), Reason: reason})
			continue
		}
		if !room.takes(offer, len(found.Offers) == 0) {
			found.Next, found.Truncated = n, true
			break
		}
		found.Offers = append(found.Offers, offer)
	}
	return found
}

// fetch gets a description. At the origin of the integration itself it sends the headers
// of every call that are not secret, such as the version of the API.
func (r *Registry) fetch(ctx context.Context, i domain.Integration, from string) ([]byte, *callerror.Error) {
	target, err := url.Parse(from)
	if err != nil {
		return nil, callerror.Misconfigured("The URL of the description can't be called.")
	}
	client := r.caller.client
	header := http.Header{"User-Agent": {client.UserAgent}, "Accept": {"application/json, application/yaml, */*"}, "Accept-Encoding": {"gzip"}}
	if domain.Origin(from) == domain.Origin(i.BaseURL) {
		signin.SetPlainHeaders(header, i)
	}
	got, e := client.Do(ctx, &egress.Request{Method: http.MethodGet, URL: target, MaxAnswer: maxDescription, Header: header})
	switch {
	case e != nil:
		return nil, e
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return nil, &callerror.Error{Code: domain.CallAuthFailed, Sentence: fmt.Sprintf(
			"The server of openapi_url answered %d %s: the document is requested without credentials. Send the document itself as openapi.", got.Status, http.StatusText(got.Status))}
	case got.Error() != nil:
		return nil, got.Error()
	case got.Truncated:
		return nil, tooLarge()
	}
	return got.Body, nil
}
