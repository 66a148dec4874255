package connectors

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/capability"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// discover offers what the CapabilityStatement names.
func (c fhirConnector) discover(ctx context.Context, i domain.Integration, open domain.Keyring) (domain.Discovery, *callerror.Error) {
	found := domain.Discovery{Source: "CapabilityStatement"}
	r, e := c.metadata(i, open)
	if e == nil {
		e = c.sign(ctx, r)
	}
	if e != nil {
		return found, e
	}
	query := "" // that makes the server answer in JSON
	got, _, e := c.do(ctx, r, domain.RetryConfig{})
	if e == nil && inXML(got) {
		query = askInJSON(r)
		got, _, e = c.do(ctx, r, domain.RetryConfig{})
	}
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
	found.Offers, found.Skipped = capability.Offers(statement, query)
	return found, nil
}

// inXML reports whether a server did not answer in JSON, though it was asked to: some need
// more than Accept.
func inXML(got egress.Answer) bool {
	return got.Status == http.StatusNotAcceptable || got.Status == http.StatusOK && bytes.HasPrefix(bytes.TrimSpace(got.Body), []byte("<")) && bytes.Contains(got.Body, []byte("<CapabilityStatement"))
}

// askInJSON adds the parameter of FHIR that asks for JSON, and returns it.
func askInJSON(r *request) string {
	r.Request.AddQuery(url.Values{"_format": {"json"}})
	r.Request.Header.Set("Accept", "*/*")
	return "_format=json"
}
