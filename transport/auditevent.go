package transport

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
)

// fhirJSON is the media type of FHIR (R4, 2.1.0.6).
const fhirJSON = "application/fhir+json"

// The code systems of AuditEvents (FHIR R4, 6.4), in the pattern of IHE Basic Audit Log
// Patterns: one agent asks, another is asked, and the entities are the data and the request.
const (
	auditTypes   = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	interactions = "http://hl7.org/fhir/restful-interaction"
	dicom        = "http://dicom.nema.org/resources/ontology/DCM"
	entityTypes  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	objectRoles  = "http://terminology.hl7.org/CodeSystem/object-role"
	balpEntities = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	ownSystem    = "urn:integrations:"
)

type fhirCoding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type fhirConcept struct {
	Coding []fhirCoding `json:"coding"`
}

type fhirIdentifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type fhirReference struct {
	Identifier fhirIdentifier `json:"identifier"`
	Display    string         `json:"display,omitempty"`
}

type fhirNetwork struct {
	Address string `json:"address"`
	Type    string `json:"type"` // 2: an IP address
}

type fhirAgent struct {
	Type      fhirConcept   `json:"type"`
	Who       fhirReference `json:"who"`
	Requestor bool          `json:"requestor"`
	Network   *fhirNetwork  `json:"network,omitempty"`
}

type fhirDetail struct {
	Type  string `json:"type"`
	Value string `json:"valueString"`
}

type fhirEntity struct {
	What   fhirReference `json:"what"`
	Type   fhirCoding    `json:"type"`
	Role   *fhirCoding   `json:"role,omitempty"`
	Name   string        `json:"name,omitempty"`
	Detail []fhirDetail  `json:"detail,omitempty"`
}

type fhirSource struct {
	Site     string        `json:"site"`
	Observer fhirReference `json:"observer"`
}

// auditEvent is an AuditEvent of FHIR R4.
type auditEvent struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id"`
	Type         fhirCoding   `json:"type"`
	Subtype      []fhirCoding `json:"subtype"`
	Action       string       `json:"action"`
	Recorded     time.Time    `json:"recorded"`
	Outcome      string       `json:"outcome"`
	OutcomeDesc  string       `json:"outcomeDesc,omitempty"`
	Agent        []fhirAgent  `json:"agent"`
	Source       fhirSource   `json:"source"`
	Entity       []fhirEntity `json:"entity"`
}

// fhirBundle is a page of AuditEvents.
type fhirBundle struct {
	ResourceType string      `json:"resourceType"`
	Type         string      `json:"type"`
	Link         []fhirLink  `json:"link"`
	Entry        []fhirEntry `json:"entry,omitempty"` // an empty array is not valid
}

type fhirLink struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

type fhirEntry struct {
	FullURL  string     `json:"fullUrl"`
	Resource auditEvent `json:"resource"`
	Search   fhirSearch `json:"search"`
}

type fhirSearch struct {
	Mode string `json:"mode"`
}

// showAuditEvents answers with a page of events or calls as AuditEvents.
func (s *Server) showAuditEvents(r *request, entries []audit.Entry, next string) answer {
	bundle := fhirBundle{ResourceType: "Bundle", Type: "searchset", Link: []fhirLink{{"self", s.linkTo(r, "")}}}
	if next != "" {
		bundle.Link = append(bundle.Link, fhirLink{"next", s.linkTo(r, next)})
	}
	for _, e := range entries {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%t/%d", r.workspace, e.Call != nil, e.Position))
		sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8 (RFC 9562)
		bundle.Entry = append(bundle.Entry, fhirEntry{
			FullURL: fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]), Resource: auditEventOf(r.workspace, e), Search: fhirSearch{"match"},
		})
	}
	return answer{status: http.StatusOK, header: map[string]string{"Content-Type": fhirJSON + "; charset=utf-8"}, body: bundle}
}

// linkTo returns the URL of a page.
func (s *Server) linkTo(r *request, token string) string {
	q := r.Request.URL.Query()
	if token != "" {
		q.Set("continuation_token", token)
	}
	to := url.URL{Path: r.Request.URL.Path, RawQuery: q.Encode()}
	return strings.TrimSuffix(s.Commands.PublicURL(), "/") + to.String()
}

func auditEventOf(w domain.Workspace, e audit.Entry) auditEvent {
	interaction, action := interactionOf(e)
	a := auditEvent{
		ResourceType: "AuditEvent", ID: fmt.Sprintf("event-%d", e.Position), Type: fhirCoding{auditTypes, "rest", "RESTful Operation"},
		Subtype: []fhirCoding{{interactions, interaction, interaction}}, Action: action, Recorded: instant(e.At), Outcome: "0",
		Source: fhirSource{Site: string(w), Observer: reference("service", "integrations", "Integrations")},
	}
	if e.Type != "" {
		a.Subtype = append(a.Subtype, fhirCoding{System: ownSystem + "event-type", Code: e.Type})
	}
	client := fhirAgent{Type: concept(dicom, "110153", "Source Role ID"), Who: reference("key", e.Actor, ""), Requestor: true}
	if e.Address != "" && e.Address != persons.Erased {
		client.Network = &fhirNetwork{e.Address, "2"}
	}
	server := fhirAgent{Type: concept(dicom, "110152", "Destination Role ID"), Who: reference("service", "integrations", "Integrations")}
	data := fhirEntity{
		What: reference("integration", string(e.ID), e.Name), Type: fhirCoding{entityTypes, "2", "System Object"}, Role: &fhirCoding{objectRoles, "4", "Domain Resource"}, Name: e.Name,
		Detail: details(fhirDetail{"version", fmt.Sprint(e.Version)}, fhirDetail{"changed", strings.Join(e.Changed, " ")}, fhirDetail{"reason", e.Reason}),
	}
	if c := e.Call; c != nil {
		a.ID = fmt.Sprintf("call-%d", e.Position)
		server.Who = reference("integration", string(e.ID), e.Name)
		a.Outcome, a.OutcomeDesc = outcomeOf(c.Outcome), string(c.Outcome)
		data.Detail = details(fhirDetail{"version", fmt.Sprint(c.Version)}, fhirDetail{"endpoint", c.Endpoint}, fhirDetail{"method", c.Method}, fhirDetail{"kind", string(c.Kind)})
	}
	if e.Unread != "" {
		a.Outcome, a.OutcomeDesc = "4", e.Unread
	}
	a.Agent, a.Entity = []fhirAgent{client, server}, []fhirEntity{data}
	if e.RequestID != "" {
		a.Entity = append(a.Entity, fhirEntity{What: reference("request", e.RequestID, ""), Type: fhirCoding{System: balpEntities, Code: "XrequestId"}})
	}
	return a
}

// interactionOf returns the interaction and the action of an event: create, read, update,
// delete or execute.
func interactionOf(e audit.Entry) (interaction, action string) {
	switch {
	case e.Call != nil:
		return "operation", "E"
	case e.Type == domain.NameOf(domain.IntegrationCreated{}):
		return "create", "C"
	case e.Type == domain.NameOf(domain.IntegrationDeleted{}):
		return "delete", "D"
	}
	return "update", "U"
}

// outcomeOf returns the outcome of a call: 0 for success, 4 for one that the service refused
// to make, 8 for one that failed.
func outcomeOf(o domain.CallOutcome) string {
	switch o {
	case domain.CallOK:
		return "0"
	case domain.CallOutcome(domain.CallBlockedDestination), domain.CallOutcome(domain.CallMisconfigured), domain.CallOutcome(domain.CallAuthorizationRequired):
		return "4"
	}
	return "8"
}

func concept(system, code, display string) fhirConcept {
	return fhirConcept{[]fhirCoding{{system, code, display}}}
}

func reference(kind, value, display string) fhirReference {
	return fhirReference{Identifier: fhirIdentifier{ownSystem + kind, value}, Display: display}
}

// details returns pairs of a type and a value, without those that are empty.
func details(pairs ...fhirDetail) []fhirDetail {
	return slices.DeleteFunc(pairs, func(d fhirDetail) bool { return d.Value == "" })
}
