package connectors

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

const fullStatement = `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [
	{"mode": "client", "resource": [{"type": "Account", "interaction": [{"code": "read"}]}]},
	{"mode": "server", "interaction": [{"code": "transaction"}, {"code": "history-system"}, {"code": "dance"}], "operation": [{"name": "export"}, {"name": "../x"}],
	 "resource": [
		{"type": "Patient", "profile": "http://example.org/one", "interaction": [{"code": "read"}, {"code": "search-type", "documentation": "Names only."}],
		 "searchParam": [{"name": "name", "type": "string", "documentation": "A name."}, {"name": "_count", "type": "number"}, {"name": "identifier:of-type", "type": "token"}, {"name": "bad name"}],
		 "searchInclude": ["Patient:organization"], "searchRevInclude": ["Provenance:target"]},
		{"type": "../evil", "interaction": [{"code": "read"}]},
		{"type": "MedicationRequest", "versioning": "versioned-update", "conditionalCreate": true, "interaction": [{"code": "create"}, {"code": "update"}, {"code": "patch"}, {"code": "delete"}, {"code": "vread"}, {"code": "history-instance"}, {"code": "history-type"}]},
		{"type": "Patient", "profile": "http://example.org/two", "interaction": [{"code": "read"}, {"code": "search-type"}],
		 "searchParam": [{"name": "name", "type": "string"}, {"name": "active", "type": "token"}], "operation": [{"name": "everything"}, {"name": "$match"}]}]}]}`

// statementServer serves a statement at /metadata, and notes every other request.
func statementServer(t *testing.T, statement string, seen *[]string) string {
	t.Helper()
	return startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metadata" {
			_, _ = io.WriteString(w, statement)
			return
		}
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.URL.RequestURI()
		for _, name := range []string{"Content-Type", "If-Match", "If-None-Exist"} {
			if v := r.Header.Get(name); v != "" {
				line += " " + name + "=" + v
			}
		}
		*seen = append(*seen, strings.TrimSpace(line+" "+string(body)))
		_, _ = io.WriteString(w, `{}`)
	})
}

func TestACapabilityStatementIsOfferedWholeAndOnce(t *testing.T) {
	found := discovered(t, onFHIR(calling(statementServer(t, fullStatement, nil), nil, nil)), domain.Description{})
	require.Empty(t, found.Error)
	var names []string
	for _, o := range found.Offers {
		names = append(names, o.Name)
	}
	require.Equal(t, []string{
		"get_patient", "search_patient", "patient_everything", "patient_match",
		"create_medication_request", "update_medication_request", "patch_medication_request", "delete_medication_request",
		"get_medication_request_version", "get_medication_request_history", "list_medication_request_history",
		"transaction", "list_history", "export",
	}, names)
	var skipped []string
	for _, s := range found.Skipped {
		skipped = append(skipped, s.Operation)
		require.NotEmpty(t, s.Reason)
	}
	require.Equal(t, []string{"rest of mode client", "resource 1", "server dance", "/$../x"}, skipped)
	require.Equal(t, len(names)+len(skipped), found.Total)

	search := offered(found)["search_patient"]
	require.Contains(t, search.Description, "Names only.")
	require.Len(t, search.Notes, 1)
	properties, _ := schemaOf(t, search)["properties"].(map[string]any)
	require.Equal(t, `{"description":"FHIR type string: the beginning of a text. A name.","items":{"type":"string"},"type":["string","array"]}`, asJSON(t, properties["name"]))
	require.Equal(t, `{"description":"Resources that the found ones refer to are returned too.","items":{"enum":["Patient:organization"],"type":"string"},"type":"array"}`, asJSON(t, properties["_include"]))
	for _, name := range []string{"active", "identifier:of-type", "_count", "_sort", "_summary", "_revinclude"} {
		require.Contains(t, properties, name)
	}
	require.Len(t, properties, 8)
}

func TestWhatAStatementOffersIsSentAsFHIRHasIt(t *testing.T) {
	var seen []string
	base := statementServer(t, fullStatement, &seen)
	all := offered(discovered(t, onFHIR(calling(base, nil, nil)), domain.Description{}))
	for _, row := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"get_patient", map[string]any{"id": "7"}, "GET /Patient/7"},
		{"search_patient", map[string]any{"name": []any{"ann", "lee"}, "active": true, "_sort": "-birthdate", "_include": []any{"Patient:organization"}}, "GET /Patient?_include=Patient%3Aorganization&_sort=-birthdate&active=true&name=ann&name=lee"},
		{"create_medication_request", map[string]any{"resourceType": "MedicationRequest", "status": "draft", "If-None-Exist": "identifier=a|1"}, `POST /MedicationRequest Content-Type=application/fhir+json If-None-Exist=identifier=a|1 {"resourceType":"MedicationRequest","status":"draft"}`},
		{"update_medication_request", map[string]any{"id": "7", "resourceType": "MedicationRequest", "If-Match": `W/"3"`}, `PUT /MedicationRequest/7 Content-Type=application/fhir+json If-Match=W/"3" {"id":"7","resourceType":"MedicationRequest"}`},
		{"patch_medication_request", map[string]any{"id": "7", "patch": []any{map[string]any{"op": "remove", "path": "/note"}}}, `PATCH /MedicationRequest/7 Content-Type=application/json-patch+json [{"op":"remove","path":"/note"}]`},
		{"delete_medication_request", map[string]any{"id": "7", "If-Match": `W/"3"`}, `DELETE /MedicationRequest/7 If-Match=W/"3"`},
		{"get_medication_request_version", map[string]any{"id": "7", "vid": "2"}, "GET /MedicationRequest/7/_history/2"},
		{"get_medication_request_history", map[string]any{"id": "7", "_count": "5"}, "GET /MedicationRequest/7/_history?_count=5"},
		{"patient_everything", map[string]any{"id": "7", "_type": "Observation"}, "GET /Patient/7/$everything?_type=Observation"},
		{"patient_match", map[string]any{"resourceType": "Parameters"}, `POST /Patient/$match Content-Type=application/fhir+json {"resourceType":"Parameters"}`},
		{"transaction", map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": []any{}}, `POST / Content-Type=application/fhir+json {"entry":[],"resourceType":"Bundle","type":"transaction"}`},
	} {
		o := all[row.name]
		seen = nil
		c := onFHIR(calling(base, row.params, func(e *domain.Endpoint) {
			e.Name, e.Method, e.Path, e.InputSchema, e.Parameters, e.Body, e.BodyFormat = o.Name, o.Method, o.Path, o.InputSchema, o.Parameters, o.Body, o.BodyFormat
		}))
		succeeds(t, onLoopback(t), c)
		require.Equal(t, []string{row.want}, seen, row.name)
	}
}

func TestAStatementInXMLIsAskedForAgainInJSON(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{
		"XML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/fhir+xml")
			_, _ = io.WriteString(w, `<?xml version="1.0"?><CapabilityStatement xmlns="http://hl7.org/fhir"/>`)
		},
		"a refusal of the type": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotAcceptable) },
	} {
		base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("_format") != "json" {
				first(w, r)
				return
			}
			_, _ = io.WriteString(w, `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [{"type": "Patient", "interaction": [{"code": "read"}]}]}]}`)
		})
		c := onFHIR(calling(base, nil, nil))
		found := discovered(t, c, domain.Description{})
		require.Len(t, found.Offers, 1, name)
		require.Equal(t, "/Patient/{id}?_format=json", found.Offers[0].Path)
		require.Len(t, found.Offers[0].Notes, 1)
		require.Equal(t, domain.Healthy, onLoopback(t).Probe(t.Context(), c.Integration, nil).Status, name)
	}
}

func TestAResourceWithoutInteractionsIsReported(t *testing.T) {
	statement := `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [{"type": "Patient", "searchParam": [{"name": "name", "type": "string"}]}]}]}`
	found := discovered(t, onFHIR(calling(statementServer(t, statement, nil), nil, nil)), domain.Description{})
	require.Empty(t, found.Error)
	require.Empty(t, found.Offers)
	require.Equal(t, []domain.Skipped{{Operation: "Patient", Reason: "the statement names no interaction with it"}}, found.Skipped)
}

func TestWhatIsNoStatementIsReported(t *testing.T) {
	found := discovered(t, onFHIR(calling(answers(t, 200, `{}`), nil, nil)), domain.Description{})
	require.Equal(t, domain.CallMisconfigured, found.ErrorCode)
	require.Empty(t, found.Offers)
}

func TestALargeStatementIsRead(t *testing.T) {
	many := func(n int, one string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(one, "#", strconv.Itoa(i)) + ",")
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	for name, resource := range map[string]string{
		"search parameters": `{"type": "Patient", "interaction": [{"code": "search-type"}], "searchParam": [` + many(150_000, `{"name": "p#", "type": "token"}`) + `]}`,
		"includes":          `{"type": "Patient", "interaction": [{"code": "search-type"}], "searchInclude": [` + many(300_000, `"Patient:i#"`) + `]}`,
		"wrong resources":   many(200_000, `{"type": "patient-#"}`),
	} {
		found := discovered(t, onFHIR(calling(statementServer(t, `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [`+resource+`]}]}`, nil), nil, nil)), domain.Description{})
		require.Empty(t, found.Error, name)
		require.LessOrEqual(t, len(found.Skipped), 201, name)
	}
}

func TestAServerWithManyResourcesIsOfferedInPages(t *testing.T) {
	var resources []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'a'; b <= 'j'; b++ {
			resources = append(resources, `{"type": "`+string(a)+string(b)+`x", "interaction": [{"code": "read"}, {"code": "create"}, {"code": "update"}, {"code": "delete"}, {"code": "search-type"}]}`)
		}
	}
	c := onFHIR(calling(statementServer(t, `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [`+strings.Join(resources, ",")+`]}]}`, nil), nil, nil))
	found := discovered(t, c, domain.Description{})
	require.Equal(t, 1300, found.Total)
	require.Len(t, found.Offers, 1000)
	found = discovered(t, c, domain.Description{After: found.Next})
	require.Len(t, found.Offers, 300)
	found = discovered(t, c, domain.Description{Select: domain.Select{ResourceTypes: []string{"Zjx"}, Interactions: []string{"read", "create"}}})
	require.Len(t, found.Offers, 2)
	require.Equal(t, 2, found.Total)
}
