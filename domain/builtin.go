package domain

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The names of the built-ins, present in every workspace and immutable.
const (
	GoogleMaps   = "google-maps"
	GoogleSearch = "google-search"
	AmigoFHIR    = "amigo-fhir"
)

// BuiltinSettings is the operator's configuration of the built-ins. Their keys
// belong to the operator and are looked up by name when they are used.
type BuiltinSettings struct {
	Disabled       []string // names of built-ins that are switched off
	Keyed          []string // names of built-ins whose key the operator has set
	GeocodeURL     string
	PlacesURL      string
	RoutesURL      string
	SearchURL      string
	SearchEngineID string // Google's cx parameter
	FHIRURL        string // may contain {workspace_id}
}

// builtinsSince is the creation time of the built-ins: earlier than any integration
// that a caller creates.
var builtinsSince = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// builtinNames is the order in which Builtins returns them.
var builtinNames = []string{GoogleMaps, GoogleSearch, AmigoFHIR}

// BuiltinNames returns the names of the built-ins.
func BuiltinNames() []string { return slices.Clone(builtinNames) }

// Builtins returns the built-ins of a workspace.
func Builtins(w Workspace, s BuiltinSettings) []Integration {
	all := []Configuration{googleMaps(s), googleSearch(s), amigoFHIR(w, s)}
	integrations := make([]Integration, len(all))
	for n, name := range builtinNames {
		all[n].Enabled = !slices.Contains(s.Disabled, name)
		integrations[n] = Integration{
			ID: NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1,
			CreatedAt: builtinsSince, UpdatedAt: builtinsSince, Builtin: true, Configuration: all[n],
		}
	}
	return integrations
}

// Builtin returns the built-in of workspace w with that id.
func Builtin(w Workspace, id ID, s BuiltinSettings) (Integration, bool) {
	n := builtinIndex(w, id)
	if n < 0 {
		return Integration{}, false
	}
	return Builtins(w, s)[n], true
}

// IsBuiltin reports whether a built-in of workspace w has that id.
func IsBuiltin(w Workspace, id ID) bool { return builtinIndex(w, id) >= 0 }

func builtinIndex(w Workspace, id ID) int {
	return slices.IndexFunc(builtinNames, func(name string) bool { return NewID(w, name) == id })
}

// Missing returns the names of the settings that a built-in needs and that the
// operator has not set; none when it is complete.
func (s BuiltinSettings) Missing(builtin string) []string {
	prefix := "INTEGRATIONS_" + strings.ToUpper(strings.ReplaceAll(builtin, "-", "_"))
	var missing []string
	if !slices.Contains(s.Keyed, builtin) {
		missing = append(missing, prefix+"_KEY")
	}
	if builtin == GoogleSearch && s.SearchEngineID == "" {
		missing = append(missing, prefix+"_ENGINE_ID")
	}
	if builtin == AmigoFHIR && s.FHIRURL == "" {
		missing = append(missing, prefix+"_URL")
	}
	return missing
}

// OperatorSecret is the prefix of the id of a secret that the operator holds; the
// name of the built-in follows it.
const OperatorSecret = "operator:"

// operatorKey returns the auth of a built-in: a key that the operator holds. Its
// version is 0 when the operator has not set it.
func (s BuiltinSettings) operatorKey(builtin string, a Auth) *Auth {
	field := a.SecretField()
	ref := SecretRef{ID: OperatorSecret + builtin, Field: "auth." + field, UpdatedAt: builtinsSince}
	if slices.Contains(s.Keyed, builtin) {
		ref.Version = 1
	}
	a.Secrets = map[string]SecretRef{field: ref}
	return &a
}

func googleMaps(s BuiltinSettings) Configuration {
	get := func(name, description, path, schema string) Endpoint {
		return builtinEndpoint(name, description, "GET", s.GeocodeURL, path, schema, nil)
	}
	return Configuration{
		DisplayName: "Google Maps", Protocol: REST, BaseURL: s.GeocodeURL,
		Auth: s.operatorKey(GoogleMaps, Auth{Type: APIKeyHeader, HeaderName: "X-Goog-Api-Key"}),
		Endpoints: []Endpoint{
			get("geocode", "Find the coordinates of an address.", "/v4/geocode/address",
				`{"type":"object","properties":{"addressQuery":{"type":"string","description":"The address to find."}},"required":["addressQuery"]}`),
			get("reverse_geocode", "Find the address at a pair of coordinates.", "/v4/geocode/location",
				`{"type":"object","properties":{"locationQuery":{"type":"string","pattern":"^-?[0-9.]+,-?[0-9.]+$","description":"Latitude and longitude, as lat,lng."}},"required":["locationQuery"]}`),
			builtinEndpoint("search_places", "Search for places by a text, such as pharmacies near an address.", "POST", s.PlacesURL, "/v1/places:searchText",
				`{"type":"object","properties":{"textQuery":{"type":"string","description":"What to look for."},"pageSize":{"type":"integer","minimum":1,"maximum":20}},"required":["textQuery"]}`,
				map[string]string{"X-Goog-Fieldmask": "places.id,places.displayName,places.formattedAddress,places.location,places.rating,places.nationalPhoneNumber"}),
			builtinEndpoint("directions", "Compute a route from an origin to a destination.", "POST", s.RoutesURL, "/directions/v2:computeRoutes",
				`{"type":"object","properties":{"origin":{"type":"object","description":"A waypoint, such as {\"address\": \"…\"}."},"destination":{"type":"object","description":"A waypoint."},"travelMode":{"enum":["DRIVE","WALK","BICYCLE","TRANSIT","TWO_WHEELER"]}},"required":["origin","destination"]}`,
				map[string]string{"X-Goog-Fieldmask": "routes.duration,routes.distanceMeters,routes.description,routes.legs.steps.navigationInstruction"}),
		},
	}
}

func googleSearch(s BuiltinSettings) Configuration {
	return Configuration{
		DisplayName: "Google Search", Protocol: REST, BaseURL: s.SearchURL,
		Auth: s.operatorKey(GoogleSearch, Auth{Type: APIKeyHeader, QueryName: "key"}),
		Endpoints: []Endpoint{
			builtinEndpoint("search", "Search the web. Google closed this API to new customers and ends it on 2027-01-01.", "GET", "",
				"/customsearch/v1?cx="+url.QueryEscape(s.SearchEngineID),
				`{"type":"object","properties":{"q":{"type":"string","description":"What to search for."},"num":{"type":"integer","minimum":1,"maximum":10},"start":{"type":"integer","minimum":1,"maximum":91}},"required":["q"]}`, nil),
		},
	}
}

func amigoFHIR(w Workspace, s BuiltinSettings) Configuration {
	search := func(name, description, resource string) Endpoint {
		return builtinEndpoint(name, description, "GET", "", "/"+resource, `{"type":"object"}`, nil)
	}
	return Configuration{
		DisplayName: "Amigo FHIR", Protocol: FHIR, BaseURL: strings.ReplaceAll(s.FHIRURL, "{workspace_id}", string(w)),
		Auth: s.operatorKey(AmigoFHIR, Auth{Type: BearerToken}),
		Endpoints: []Endpoint{
			search("search_patients", "Search for patients by FHIR search parameters, such as family, given and birthdate.", "Patient"),
			builtinEndpoint("get_patient", "Read one patient.", "GET", "", "/Patient/{id}",
				`{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`, nil),
			search("search_appointments", "Search for appointments by FHIR search parameters, such as patient, date and status.", "Appointment"),
			search("search_practitioners", "Search for practitioners by FHIR search parameters, such as name.", "Practitioner"),
			builtinEndpoint("read_resource", "Read one resource of any type.", "GET", "", "/{resource_type}/{id}",
				`{"type":"object","properties":{"resource_type":{"type":"string","pattern":"^[A-Z][A-Za-z]+$"},"id":{"type":"string"}},"required":["resource_type","id"]}`, nil),
			builtinEndpoint("search_resources", "Search for resources of any type by FHIR search parameters.", "GET", "", "/{resource_type}",
				`{"type":"object","properties":{"resource_type":{"type":"string","pattern":"^[A-Z][A-Za-z]+$"}},"required":["resource_type"]}`, nil),
		},
	}
}

func builtinEndpoint(name, description, method, base, path, schema string, headers map[string]string) Endpoint {
	e := defaultEndpoint()
	e.Name, e.Description, e.Method, e.BaseURL, e.Path = name, description, method, base, path
	e.InputSchema, e.Headers = json.RawMessage(schema), headers
	if headers == nil {
		e.Headers = map[string]string{}
	}
	return e
}
