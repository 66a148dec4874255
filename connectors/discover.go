package connectors

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/openapi"
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
		return domain.Discovery{}, domain.Refuse("/openapi_url", "required", "is required for a REST API, or openapi with the document itself")
	}
	found, e := c.discover(ctx, i, k)
	if e != nil {
		found.Error, found.ErrorCode = e.Sentence, e.Code
	}
	return acceptable(ctx, found), nil
}

// readDescription reads a description, which is fetched without credentials.
func (r *Registry) readDescription(ctx context.Context, i domain.Integration, d domain.Description) (domain.Discovery, error) {
	found := domain.Discovery{Source: "OpenAPI"}
	if d.URL != "" {
		text, e := r.fetch(ctx, d.URL)
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
	api, err := openapi.Read(ctx, d.Text)
	switch {
	case ctx.Err() != nil:
		found.Error, found.ErrorCode = "Reading the description took too long.", domain.CallTimeout
		return found, nil
	case err != nil:
		return domain.Discovery{}, domain.Refuse("/openapi", "openapi_invalid", "is not an OpenAPI 3 document in JSON or YAML: %v", err)
	}
	found.Offers = api.Offers(serverBase(i.BaseURL, d.URL, api.Server()))
	return acceptable(ctx, found), nil
}

func (r *Registry) fetch(ctx context.Context, from string) ([]byte, *callerror.Error) {
	target, err := url.Parse(from)
	if err != nil {
		return nil, callerror.Misconfigured("The URL of the description can't be called.")
	}
	client := r.caller.client
	got, e := client.Do(ctx, &egress.Request{Method: http.MethodGet, URL: target, MaxAnswer: maxDescription, Header: http.Header{
		"User-Agent": {client.UserAgent}, "Accept": {"application/json, application/yaml, */*"}, "Accept-Encoding": {"gzip"},
	}})
	switch {
	case e != nil:
		return nil, e
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return nil, &callerror.Error{Code: domain.CallAuthFailed, Sentence: fmt.Sprintf(
			"The server of openapi_url answered %d %s: the document is requested without credentials. Send the document itself as openapi.", got.Status, http.StatusText(got.Status))}
	case callerror.OfStatus(got.Status) != nil:
		return nil, callerror.OfStatus(got.Status)
	case got.Truncated:
		return nil, tooLarge()
	}
	return got.Body, nil
}

// serverBase returns where the operations of a description are: their base URL, ""
// for that of the integration, and what lies between it and their paths. The
// server URL may be relative to where the description was found; one that can't
// be called as it stands, such as one with {variables}, is ignored.
func serverBase(base, found, server string) (baseURL, prefix string) {
	root, err := url.Parse(base)
	at, errServer := url.Parse(server)
	if err != nil || errServer != nil || root.Host == "" || server == "" {
		return "", ""
	}
	from := root
	if found != "" {
		if from, err = url.Parse(found); err != nil {
			return "", ""
		}
	}
	named := at.Host != ""
	at = from.ResolveReference(at)
	between, inside := strings.CutPrefix(strings.TrimRight(at.Path, "/"), strings.TrimRight(root.Path, "/"))
	switch {
	case domain.Origin(at.String()) == domain.Origin(base) && inside && (between == "" || between[0] == '/'):
		return "", between
	case named && !strings.ContainsAny(server, "{}?") && domain.URLProblem(at.String()) == "":
		return at.String(), ""
	}
	return "", ""
}
