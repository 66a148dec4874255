package connectors

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// fhirConnector calls FHIR servers: REST in a media type of its own, where an
// OperationOutcome has the error, whatever the status (HL7 FHIR R4,
// RESTful API).
type fhirConnector struct{ restConnector }

const (
	fhirJSON     = "application/fhir+json"
	maxStatement = 8 << 20 // bytes; the CapabilityStatements of large servers have a few million
)

func (c fhirConnector) call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	return c.caller.call(ctx, c, call)
}

func (fhirConnector) verdict(got egress.Answer, raw any) *callerror.Error {
	e := got.Error()
	reason := outcome(raw)
	switch {
	case reason == "":
		return e
	case e == nil:
		return callerror.Upstream("The FHIR server answered with an OperationOutcome: %s", reason)
	}
	return &callerror.Error{Code: e.Code, Sentence: e.Sentence + " Its OperationOutcome says: " + reason}
}

// outcome returns the errors of an OperationOutcome, "" when raw is none or has none.
func outcome(raw any) string {
	resource, _ := raw.(map[string]any)
	if resource["resourceType"] != "OperationOutcome" {
		return ""
	}
	var reasons []string
	issues, _ := resource["issue"].([]any)
	for _, one := range issues {
		issue, _ := one.(map[string]any)
		if issue["severity"] != "error" && issue["severity"] != "fatal" {
			continue
		}
		details, _ := issue["details"].(map[string]any)
		text := strings.TrimRight(jsonvalue.FirstString(issue["diagnostics"], details["text"], issue["code"]), ". ")
		if at := jsonvalue.FirstString(jsonvalue.FirstElement(issue["expression"]), jsonvalue.FirstElement(issue["location"])); at != "" {
			text += " (at " + at + ")"
		}
		reasons = append(reasons, text)
	}
	if len(reasons) == 0 {
		return ""
	}
	return jsonvalue.Abbreviate(strings.Join(reasons, "; "), 1000) + "."
}

// probe reads the server's CapabilityStatement, with the credentials of a real
// call. A health check of the integration's own goes before.
func (c fhirConnector) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	if i.HealthCheck != nil && i.HealthCheck.Path != "" {
		return c.restConnector.probe(ctx, i, open)
	}
	p := newProbing(c.caller, i.Auth)
	r, e := c.metadata(i, open)
	if e == nil {
		e = c.judge(r)
	}
	if e != nil {
		return p.failed("metadata", e)
	}
	if e := c.authenticate(ctx, r); e != nil && !p.unsigned(e) {
		return p.failed("resolve_auth", e)
	}
	if !p.challenged {
		p.signed(r)
	}
	var got egress.Answer
	attempt := func() (_ int, e *callerror.Error) {
		got, e = c.client.Do(ctx, r.Request)
		return got.Status, e
	}
	if e = p.send(ctx, r, attempt); e == nil && inXML(got) {
		askInJSON(r)
		e = p.send(ctx, r, attempt)
	}
	p.seen.HTTPStatus = got.Status
	if p.isChallenge(got.Status) {
		return p.needsSignIn("metadata", got.Status)
	}
	if e == nil {
		e = unhealthy(got, i.Auth != nil, http.StatusOK)
	}
	if e != nil {
		return p.failed("metadata", e)
	}
	_, summary, e := capabilities(ctx, got)
	if e != nil {
		return p.failed("metadata", e)
	}
	return p.healthy("metadata", summary)
}

// metadata returns the request for the CapabilityStatement.
func (c fhirConnector) metadata(i domain.Integration, open domain.Keyring) (*request, *callerror.Error) {
	r, e := c.harmless(i, open, domain.HealthCheck{Method: http.MethodGet, Path: "/metadata"})
	if e == nil {
		r.Request.MaxAnswer = maxStatement
	}
	return r, e
}

// capabilities returns a CapabilityStatement, and a summary of its server.
func capabilities(ctx context.Context, got egress.Answer) (statement map[string]any, summary string, e *callerror.Error) {
	raw, _, e := decodeWithin(ctx, got.Body, false)
	if e != nil {
		return nil, "", e
	}
	statement, _ = raw.(map[string]any)
	version, _ := statement["fhirVersion"].(string)
	switch {
	case got.Truncated:
		return nil, "", tooLarge()
	case statement["resourceType"] != "CapabilityStatement":
		return nil, "", callerror.Misconfigured("What is at /metadata is not a CapabilityStatement: check that the base URL is that of a FHIR server.")
	case version == "":
		return nil, "", callerror.Misconfigured("The CapabilityStatement names no fhirVersion, so this is not a FHIR server that can be relied on.")
	}
	summary = "The server speaks FHIR " + version
	if software, _ := statement["software"].(map[string]any); jsonvalue.FirstString(software["name"]) != "" {
		summary += " (" + strings.TrimSpace(jsonvalue.FirstString(software["name"])+" "+jsonvalue.FirstString(software["version"])) + ")"
	}
	if services := securityServices(statement); len(services) > 0 {
		summary += fmt.Sprintf(" and asks for %s", strings.Join(services, ", "))
	}
	return statement, summary + ".", nil
}

// securityServices returns the codes of the security services that a CapabilityStatement
// names, such as SMART-on-FHIR.
func securityServices(statement map[string]any) []string {
	var codes []string
	rests, _ := statement["rest"].([]any)
	for _, one := range rests {
		rest, _ := one.(map[string]any)
		security, _ := rest["security"].(map[string]any)
		services, _ := security["service"].([]any)
		for _, service := range services {
			concept, _ := service.(map[string]any)
			codings, _ := concept["coding"].([]any)
			for _, coding := range codings {
				c, _ := coding.(map[string]any)
				if code := jsonvalue.FirstString(c["code"], c["display"]); code != "" && !slices.Contains(codes, code) {
					codes = append(codes, code)
				}
			}
		}
	}
	return codes
}
