package connectors

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/domain"
)

const (
	mostOffers      = 1000     // endpoints that one discovery tells
	mostDescription = 4 << 20  // bytes of a description that is fetched
	mostOfferSchema = 64 << 10 // bytes of an endpoint's schema: no LLM is helped by more, and compiling it takes long
)

// A discoverer finds out what an upstream offers.
type discoverer interface {
	discover(context.Context, domain.Integration, domain.Keyring) (domain.Discovery, *fault)
}

// Discover lists what an upstream offers as endpoints: the operations of a
// description where one is given, else the tools of an MCP server or what the
// CapabilityStatement of a FHIR server names. An error of kind Invalid says that
// a description is needed, or what is wrong with it.
func (r *Registry) Discover(ctx context.Context, i domain.Integration, k domain.Keyring, d domain.Description) (domain.Discovery, error) {
	ctx, release := r.config.Gate.Open(ctx)
	defer release()
	if d.Given() {
		return r.described(ctx, i, d)
	}
	speaker, ok := r.connectors[i.Protocol].(discoverer)
	if !ok {
		return domain.Discovery{}, domain.Refuse("/openapi_url", "required", "is required for a REST API, or openapi with the document itself")
	}
	found, f := speaker.discover(ctx, i, k)
	if f != nil {
		found.Error, found.ErrorCode = f.sentence, f.code
	}
	return acceptable(ctx, found), nil
}

// acceptable returns what was found with the offers that an integration may have as
// endpoints. One whose schema is too much or can't be used takes anything: the
// upstream checks.
func acceptable(ctx context.Context, found domain.Discovery) domain.Discovery {
	if len(found.Offers) > mostOffers {
		found.Offers, found.Truncated = found.Offers[:mostOffers], true
	}
	accepted := rules(ctx, jsonschema.NewCache())
	var good []domain.Offer
	for _, o := range found.Offers {
		if len(o.InputSchema) > mostOfferSchema || len(o.Problems(accepted)) > 0 {
			o.InputSchema = []byte(`{}`)
		}
		if ctx.Err() != nil {
			found.Offers, found.Error, found.ErrorCode = nil, "Reading what the upstream offers took too long.", domain.CallTimeout
			return found
		}
		if len(o.Problems(accepted)) == 0 {
			good = append(good, o)
		}
	}
	found.Offers = good
	return found
}

// described reads the description, which is fetched without credentials.
func (r *Registry) described(ctx context.Context, i domain.Integration, d domain.Description) (domain.Discovery, error) {
	found := domain.Discovery{Source: "OpenAPI"}
	if d.URL != "" {
		text, f := r.fetch(ctx, d.URL)
		if f != nil {
			found.Error, found.ErrorCode = f.sentence, f.code
			return found, nil
		}
		d.Text = text
	}
	if admission.Answer(ctx, admission.Weight(d.Text)) != nil {
		found.Error, found.ErrorCode = noRoom, domain.CallResponseTooLarge
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
	found.Offers = api.Offers(place(i.BaseURL, d.URL, api.Server()))
	return acceptable(ctx, found), nil
}

func (r *Registry) fetch(ctx context.Context, from string) ([]byte, *fault) {
	way := r.connectors[domain.REST].(rest).way
	target, err := url.Parse(from)
	if err != nil {
		return nil, misconfigured("The URL of the description can't be called.")
	}
	out := &outgoing{method: http.MethodGet, url: target, most: mostDescription, header: http.Header{
		"User-Agent": {way.agent}, "Accept": {"application/json, application/yaml, */*"}, "Accept-Encoding": {"gzip"},
	}}
	if f := way.judge(out); f != nil {
		return nil, f
	}
	got, f := way.once(ctx, out)
	switch {
	case f != nil:
		return nil, f
	case refusal(got.status) != nil:
		return nil, refusal(got.status)
	case got.truncated:
		return nil, tooLarge()
	}
	return got.body, nil
}

// place returns where the operations of a description are: their base URL, ""
// for that of the integration, and what lies between it and their paths. The
// server URL may be relative to where the description was found; one that can't
// be called as it stands, such as one with {variables}, says nothing.
func place(base, found, server string) (baseURL, prefix string) {
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
	between, below := strings.CutPrefix(strings.TrimRight(at.Path, "/"), strings.TrimRight(root.Path, "/"))
	switch {
	case domain.Origin(at.String()) == domain.Origin(base) && below && (between == "" || between[0] == '/'):
		return "", between
	case named && !strings.ContainsAny(server, "{}?") && domain.URLProblem(at.String()) == "":
		return at.String(), ""
	}
	return "", ""
}
