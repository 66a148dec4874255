package authorizations_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// An app launches on its own at a FHIR server (HL7 SMART App Launch 2.2, 2.1), which names
// the patient with the tokens.
func TestSMARTStandaloneLaunch(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	fhir := as.URL + "/api/fhir"
	as.Metadata = func(path string, document map[string]any) bool {
		delete(document, "issuer")
		return path == "/api/fhir/.well-known/smart-configuration"
	}
	patient := ""
	as.Back = func(asked, answer url.Values) {
		if asked.Get("aud") != fhir || asked.Has("resource") || !strings.Contains(asked.Get("scope"), "launch/patient") || asked.Get("code_challenge_method") != "S256" {
			clear(answer)
			answer.Set("error", "invalid_request")
			answer.Set("state", asked.Get("state"))
		}
	}
	answers(as, func(answer object) {
		claims, _ := json.Marshal(object{"iss": fhir, "sub": "u1", "fhirUser": "Practitioner/7"})
		answer["id_token"] = "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".sig"
		answer["need_patient_banner"], answer["scope"] = true, "launch/patient patient/Patient.rs"
		if patient != "" {
			answer["patient"] = patient
		}
	})
	var asked atomic.Value
	as.API = func(w http.ResponseWriter, r *http.Request) bool {
		asked.Store(r.URL.Path)
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write([]byte(`{"resourceType": "Patient", "id": "p1"}`))
		return true
	}
	more := at(fhir, "/Patient/{account.patient}")
	more["protocol"] = "fhir"
	p := processesOf(t, as, 1, object{
		"authorization_url": nil, "token_url": nil, "scopes": "launch/patient openid fhirUser offline_access patient/Patient.rs",
		"capture": object{
			"patient": object{"from": "token", "path": "patient", "optional": true}, "encounter": object{"from": "token", "path": "encounter", "optional": true},
			"fhir_user": object{"from": "id_token", "path": "fhirUser"},
		},
	}, more)[0]
	require.Equal(t, []string{"openid", "fhirUser"}, p.signIn().MissingScopes)
	result := p.call(nil)
	require.Equal(t, domain.CallMisconfigured, result.ErrorCode)
	require.Contains(t, result.Error, "patient")
	patient = "p1" // some servers name it with the first refresh
	_, err := p.token(p.good())
	require.NoError(t, err)
	require.Equal(t, 200, p.call(nil).StatusCode)
	require.Equal(t, "/api/fhir/Patient/p1", asked.Load())
	require.Equal(t, map[string]string{"patient": "p1", "fhir_user": "Practitioner/7"}, p.state().Captured)

	plain := at(fhir, "/Patient")
	plain["protocol"] = "fhir"
	strict := processesOf(t, as, 1, object{
		"authorization_url": nil, "token_url": nil, "scopes": "launch/patient", "authorization_params": object{"aud": fhir + "/"},
	}, plain)[0]
	require.Equal(t, authorizations.Failed, strict.tryToSignIn(authorizations.Start{}).State, "aud is compared byte for byte")
}
