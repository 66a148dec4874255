package connectors

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// fhir calls FHIR servers: REST in a media type of its own, where an
// OperationOutcome says what went wrong, whatever the status (HL7 FHIR R4,
// RESTful API).
type fhir struct{ rest }

const (
	fhirJSON      = "application/fhir+json"
	mostStatement = 8 << 20 // bytes; the CapabilityStatements of large servers have a few million
)

func newFHIR(way *outbound) fhir {
	return fhir{rest{way: way, media: fhirJSON, more: func(status int, raw any) *fault {
		f := refusal(status)
		told := outcome(raw)
		switch {
		case told == "":
			return f
		case f == nil:
			return &fault{code: domain.CallUpstreamError, sentence: "The FHIR server answered with an OperationOutcome: " + told}
		}
		return &fault{code: f.code, sentence: f.sentence + " Its OperationOutcome says: " + told}
	}}}
}

// outcome returns what the errors of an OperationOutcome say, "" when raw is
// none or has none.
func outcome(raw any) string {
	resource, _ := raw.(map[string]any)
	if resource["resourceType"] != "OperationOutcome" {
		return ""
	}
	var told []string
	issues, _ := resource["issue"].([]any)
	for _, one := range issues {
		issue, _ := one.(map[string]any)
		if issue["severity"] != "error" && issue["severity"] != "fatal" {
			continue
		}
		details, _ := issue["details"].(map[string]any)
		says := strings.TrimRight(jsonvalue.FirstString(issue["diagnostics"], details["text"], issue["code"]), ". ")
		if at := jsonvalue.FirstString(jsonvalue.FirstElement(issue["expression"]), jsonvalue.FirstElement(issue["location"])); at != "" {
			says += " (at " + at + ")"
		}
		told = append(told, says)
	}
	if len(told) == 0 {
		return ""
	}
	return jsonvalue.Abbreviate(strings.Join(told, "; "), 1000) + "."
}

// probe reads the server's CapabilityStatement, with the credentials of a real
// call. A health check of the integration's own goes before.
func (c fhir) probe(ctx context.Context, i domain.Integration, open domain.Keyring) domain.Probe {
	if i.HealthCheck != nil && i.HealthCheck.Path != "" {
		return c.rest.probe(ctx, i, open)
	}
	p := newProbing(c.way.now(), i.Auth)
	out, f := c.harmless(i.BaseURL, domain.HealthCheck{Method: http.MethodGet, Path: "/metadata"})
	if f == nil {
		out.most = mostStatement
		f = c.way.judge(out)
	}
	if f != nil {
		return p.failed("metadata", f)
	}
	if f := c.way.sign(ctx, i, i.Auth, open, out); f != nil {
		return p.failed("resolve_auth", f)
	}
	p.signed(out)
	var got answer
	f = p.send(ctx, out, func() (_ int, f *fault) {
		got, f = c.way.once(ctx, out)
		return got.status, f
	})
	p.seen.HTTPStatus = got.status
	if f == nil {
		f = unhealthy(got.status, i.Auth != nil, http.StatusOK)
	}
	if f != nil {
		return p.failed("metadata", f)
	}
	_, said, f := capabilities(ctx, got)
	if f != nil {
		return p.failed("metadata", f)
	}
	return p.healthy("metadata", said)
}

// capabilities returns a CapabilityStatement, and what it says of its server.
func capabilities(ctx context.Context, got answer) (statement map[string]any, said string, f *fault) {
	raw, _, f := decodeWithin(ctx, got.body, false)
	if f != nil {
		return nil, "", f
	}
	statement, _ = raw.(map[string]any)
	version, _ := statement["fhirVersion"].(string)
	switch {
	case got.truncated:
		return nil, "", tooLarge()
	case statement["resourceType"] != "CapabilityStatement":
		return nil, "", misconfigured("What is at /metadata is not a CapabilityStatement: check that the base URL is that of a FHIR server.")
	case version == "":
		return nil, "", misconfigured("The CapabilityStatement names no fhirVersion, so this is not a FHIR server that can be relied on.")
	}
	said = "The server speaks FHIR " + version
	if software, _ := statement["software"].(map[string]any); jsonvalue.FirstString(software["name"]) != "" {
		said += " (" + strings.TrimSpace(jsonvalue.FirstString(software["name"])+" "+jsonvalue.FirstString(software["version"])) + ")"
	}
	if services := security(statement); len(services) > 0 {
		said += fmt.Sprintf(" and asks for %s", strings.Join(services, ", "))
	}
	return statement, said + ".", nil
}

// security returns the codes of the security services that a CapabilityStatement
// names, such as SMART-on-FHIR.
func security(statement map[string]any) []string {
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
