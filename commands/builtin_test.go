package commands_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// standIn is Google and a FHIR server in one: it refuses what they would refuse (a wrong
// path, key, field mask or media type), and answers with the request it received.
func standIn(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(check func(*http.Request) bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !check(r) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body, _ := io.ReadAll(r.Body)
			got := map[string]any{"query": r.URL.RawQuery, "path": r.URL.Path}
			if len(body) > 0 {
				got["body"] = json.RawMessage(body)
			}
			_ = json.NewEncoder(w).Encode(got)
		}
	}
	maps := func(r *http.Request) bool {
		return r.Header.Get("X-Goog-Api-Key") == "maps-key" && r.URL.Query().Get("key") == ""
	}
	masked := func(r *http.Request) bool {
		return maps(r) && r.Header.Get("X-Goog-FieldMask") != "" && r.Header.Get("Content-Type") == "application/json"
	}
	fhir := func(r *http.Request) bool {
		return r.Header.Get("Authorization") == "Bearer fhir-key" && r.Header.Get("Accept") == "application/fhir+json"
	}
	mux.Handle("GET /v4/geocode/address", answer(maps))
	mux.Handle("GET /v4/geocode/location", answer(maps))
	mux.Handle("POST /v1/places:searchText", answer(masked))
	mux.Handle("POST /directions/v2:computeRoutes", answer(masked))
	mux.Handle("GET /customsearch/v1", answer(func(r *http.Request) bool {
		q := r.URL.Query()
		return q.Get("key") == "search-key" && q.Get("cx") == "engine" && len(q["key"]) == 1
	}))
	mux.Handle("GET /fhir/acme/", answer(fhir))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestABuiltinNamesItsMissingSettings(t *testing.T) {
	f := start(t)
	for builtin, missing := range map[string]struct {
		endpoint string
		settings []string
	}{
		domain.GoogleMaps:   {"geocode", []string{"INTEGRATIONS_GOOGLE_MAPS_KEY"}},
		domain.GoogleSearch: {"search", []string{"INTEGRATIONS_GOOGLE_SEARCH_KEY", "INTEGRATIONS_GOOGLE_SEARCH_ENGINE_ID"}},
		domain.AmigoFHIR:    {"get_patient", []string{"INTEGRATIONS_AMIGO_FHIR_KEY", "INTEGRATIONS_AMIGO_FHIR_URL"}},
	} {
		id := domain.NewID("acme", builtin)
		result, err := f.TestEndpoint(t.Context(), ann, id, missing.endpoint, nil, false)
		require.NoError(t, err)
		require.Equal(t, domain.CallMisconfigured, result.ErrorCode)
		probe, _, err := f.TestConnection(t.Context(), ann, id)
		require.NoError(t, err)
		require.Equal(t, domain.Misconfigured, probe.Status)
		for _, setting := range missing.settings {
			require.Contains(t, result.Error, setting)
			require.Contains(t, probe.Message, setting)
		}
	}
}

func TestTheBuiltinsSendTheRequestsOfTheirUpstreams(t *testing.T) {
	f, base := start(t), standIn(t)
	f.Builtins = domain.BuiltinSettings{
		Keyed:      []string{domain.GoogleMaps, domain.GoogleSearch, domain.AmigoFHIR},
		GeocodeURL: base, PlacesURL: base, RoutesURL: base, SearchURL: base, SearchEngineID: "engine", FHIRURL: base + "/fhir/{workspace_id}",
	}
	f.OperatorKeys = map[string]domain.Secret{
		domain.GoogleMaps: domain.NewSecret("maps-key"), domain.GoogleSearch: domain.NewSecret("search-key"), domain.AmigoFHIR: domain.NewSecret("fhir-key"),
	}
	for _, tt := range []struct{ builtin, endpoint, params, got string }{
		{domain.GoogleMaps, "geocode", `{"addressQuery": "1 Main St"}`, `{"path": "/v4/geocode/address", "query": "addressQuery=1+Main+St"}`},
		{domain.GoogleMaps, "reverse_geocode", `{"locationQuery": "52.5,13.4"}`, `{"path": "/v4/geocode/location", "query": "locationQuery=52.5%2C13.4"}`},
		{domain.GoogleMaps, "search_places", `{"textQuery": "pharmacy", "pageSize": 5}`, `{"path": "/v1/places:searchText", "query": "", "body": {"textQuery": "pharmacy", "pageSize": 5}}`},
		{
			domain.GoogleMaps, "directions", `{"origin": {"address": "A"}, "destination": {"address": "B"}, "travelMode": "WALK"}`,
			`{"path": "/directions/v2:computeRoutes", "query": "", "body": {"origin": {"address": "A"}, "destination": {"address": "B"}, "travelMode": "WALK"}}`,
		},
		{domain.GoogleSearch, "search", `{"q": "clinic", "num": 3}`, `{"path": "/customsearch/v1", "query": "cx=engine&num=3&q=clinic&key=[secret]"}`},
		{domain.AmigoFHIR, "search_patients", `{"family": "Lovelace"}`, `{"path": "/fhir/acme/Patient", "query": "family=Lovelace"}`},
		{domain.AmigoFHIR, "get_patient", `{"id": "p1"}`, `{"path": "/fhir/acme/Patient/p1", "query": ""}`},
		{domain.AmigoFHIR, "search_appointments", `{"status": "booked"}`, `{"path": "/fhir/acme/Appointment", "query": "status=booked"}`},
		{domain.AmigoFHIR, "search_practitioners", `{"name": "x"}`, `{"path": "/fhir/acme/Practitioner", "query": "name=x"}`},
		{domain.AmigoFHIR, "read_resource", `{"resource_type": "Observation", "id": "o1"}`, `{"path": "/fhir/acme/Observation/o1", "query": ""}`},
		{domain.AmigoFHIR, "search_resources", `{"resource_type": "Observation", "patient": "p1"}`, `{"path": "/fhir/acme/Observation", "query": "patient=p1"}`},
	} {
		t.Run(tt.builtin+" "+tt.endpoint, func(t *testing.T) {
			result, err := f.TestEndpoint(t.Context(), ann, domain.NewID("acme", tt.builtin), tt.endpoint, doc(t, "%s", tt.params), false)
			require.NoError(t, err)
			require.Empty(t, result.Error)
			require.JSONEq(t, tt.got, result.FinalResult)
		})
	}
	_, err := f.TestEndpoint(t.Context(), ann, domain.NewID("acme", domain.GoogleSearch), "search", doc(t, `{"q": "x", "num": 11}`), false)
	require.Equal(t, domain.Invalid, domain.KindOf(err))
	_, err = f.TestEndpoint(t.Context(), ann, domain.NewID("acme", domain.AmigoFHIR), "read_resource", doc(t, `{"resource_type": "../admin", "id": "1"}`), false)
	require.Equal(t, domain.Invalid, domain.KindOf(err))
}
