package transport_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEndpointsOfAnUpstreamAreDiscoveredAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"resource": [{"type": "Patient", "interaction": [{"code": "read"}, {"code": "search-type"}]}]}]}`))
	})
	s := serve(t)
	s.create(rest("ehr", u.url, members{"protocol": "fhir", "endpoints": []any{endpoint("find", members{"path": "/Patient"})}}))
	head := s.head()
	got := s.post("/integrations/ehr/discover", nil).is(200)
	require.Equal(t, "CapabilityStatement", got.at("source"))
	require.Equal(t, "get_patient", got.at("endpoints", 0, "name"))
	require.Equal(t, false, got.at("endpoints", 0, "configured"))
	require.Equal(t, true, got.at("endpoints", 1, "configured"), "by its method and path")
	require.Equal(t, head, s.head())

	offer := got.at("endpoints", 0).(members)
	delete(offer, "configured")
	s.put("/integrations/ehr", members{"endpoints": []any{offer}}).is(200)
	require.Equal(t, true, s.post("/integrations/ehr/discover", members{}).is(200).at("endpoints", 0, "configured"), "an offer is ready to be configured")

	s.create(rest("crm", u.url))
	require.Equal(t, []string{"/openapi_url"}, s.post("/integrations/crm/discover", nil).is(422, "required").pointers())
	api := members{"openapi": "3.1.0", "paths": members{"/a": members{"get": members{"operationId": "a"}}}}
	require.Equal(t, "a", s.post("/integrations/crm/discover", members{"openapi": api}).is(200).at("endpoints", 0, "name"))
	api["servers"] = []any{members{"url": "https://elsewhere.example/v2"}}
	require.Equal(t, "https://elsewhere.example/v2", s.post("/integrations/crm/discover", members{"openapi": api}).is(200).at("endpoints", 0, "base_url"))
	require.Equal(t, "upstream_error", s.post("/integrations/crm/discover", members{"openapi_url": listen(t, http.NotFound).url}).is(200).at("error_code"))
	for body, at := range map[string]string{
		`{"openapi_url": 1}`: "/openapi_url", `{"openapi_url": "ftp://a"}`: "/openapi_url", `{"openapi": 1}`: "/openapi", `{"openapi": "x"}`: "/openapi",
		`{"openapi": {}}`: "/openapi", `{"openapi": "x", "openapi_url": "https://a.example"}`: "/openapi", `{"swagger": 1}`: "/swagger",
	} {
		require.Equal(t, []string{at}, s.send(request{method: "POST", path: "/integrations/crm/discover", body: body, wrong: true}).is(422).pointers(), body)
	}
}
