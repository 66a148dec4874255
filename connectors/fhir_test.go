package connectors

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// onFHIR turns a call into one of a FHIR server.
func onFHIR(c domain.Call) domain.Call {
	c.Integration.Protocol = domain.FHIR
	return c
}

func TestAFHIRServerIsCalledInItsOwnMediaType(t *testing.T) {
	var accept, content, body atomic.Value
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		accept.Store(r.Header.Get("Accept"))
		content.Store(r.Header.Get("Content-Type"))
		body.Store(string(data))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"resourceType": "Patient", "id": "p1"}`)
	})
	c := onFHIR(calling(base, map[string]any{"resourceType": "Patient", "multipleBirthInteger": json.Number("9007199254740993")}, func(e *domain.Endpoint) {
		e.Method, e.Path, e.ResultKey = "POST", "/Patient", "id"
	}))
	if got := succeeds(t, onLoopback(t), c).FinalResult; got != "p1" {
		t.Errorf("the result is %q", got)
	}
	if accept.Load() != fhirJSON || content.Load() != fhirJSON {
		t.Errorf("it was sent as %v and asked for as %v", content.Load(), accept.Load())
	}
	if body.Load() != `{"multipleBirthInteger":9007199254740993,"resourceType":"Patient"}` {
		t.Errorf("the body was %s", body.Load())
	}
}

func TestAnOperationOutcomeIsReportedAsAnErrorWhateverTheStatus(t *testing.T) {
	const outcome = `{"resourceType": "OperationOutcome", "issue": [
		{"severity": "warning", "diagnostics": "slow"},
		{"severity": "error", "code": "invalid", "diagnostics": "Unknown search parameter 'foo'.", "expression": ["Patient.foo"]},
		{"severity": "fatal", "code": "exception", "details": {"text": "gave up"}}]}`
	for status, code := range map[int]domain.ErrorCode{200: domain.CallUpstreamError, 400: domain.CallUpstreamError, 403: domain.CallAuthFailed, 422: domain.CallUpstreamError} {
		result := failsWith(t, onLoopback(t), onFHIR(calling(answers(t, status, outcome), nil, nil)), code)
		if !strings.Contains(result.Error, "Unknown search parameter 'foo' (at Patient.foo); gave up.") || strings.Contains(result.Error, "slow") {
			t.Errorf("%d: %s", status, result.Error)
		}
		if result.RawResponse == nil || result.StatusCode != status {
			t.Errorf("%d: the answer itself is not shown", status)
		}
	}
	good := `{"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational", "diagnostics": "deleted"}]}`
	succeeds(t, onLoopback(t), onFHIR(calling(answers(t, 200, good), nil, nil)))
}

func TestAnOperationOutcomeOfARESTAPIIsJustAnAnswer(t *testing.T) {
	succeeds(t, onLoopback(t), calling(answers(t, 200, `{"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}`), nil, nil))
}

func TestAnOperationOutcomeDoesNotEchoASecret(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{
			"severity": "error", "diagnostics": "bad token " + r.Header.Get("Authorization"),
		}}})
	})
	c := signedBy(onFHIR(calling(base, nil, nil)), domain.Auth{Type: domain.BearerToken}, "canary-token-51")
	if result := failsWith(t, onLoopback(t), c, domain.CallAuthFailed); strings.Contains(result.Error, "canary") || !strings.Contains(result.Error, scrub.Mask) {
		t.Errorf("the error is %s", result.Error)
	}
}

func TestAFHIRServerIsProbedByItsCapabilityStatement(t *testing.T) {
	const statement = `{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": {"name": "Acme", "version": "7"},
		"rest": [{"mode": "server", "security": {"service": [{"coding": [{"code": "SMART-on-FHIR"}]}]}}]}`
	for name, tt := range map[string]struct {
		status  int
		body    string
		signed  bool
		want    domain.ProbeStatus
		message string
	}{
		"a statement is healthy":              {200, statement, false, domain.Healthy, "FHIR 4.0.1 (Acme 7) and asks for SMART-on-FHIR"},
		"a statement without a version isn't": {200, `{"resourceType": "CapabilityStatement"}`, false, domain.Misconfigured, "fhirVersion"},
		"another resource isn't":              {200, `{"resourceType": "Patient"}`, false, domain.Misconfigured, "CapabilityStatement"},
		"a page isn't":                        {200, `<html>welcome</html>`, false, domain.Misconfigured, "CapabilityStatement"},
		"an empty answer isn't":               {200, ``, false, domain.Misconfigured, "CapabilityStatement"},
		"a refusal of credentials isn't":      {401, ``, true, domain.AuthFailed, "401"},
		"a broken server isn't":               {503, ``, false, domain.Unreachable, "503"},
		"a missing statement isn't":           {404, ``, false, domain.Misconfigured, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Value
			base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Store(r.Method + " " + r.URL.Path + " " + r.Header.Get("Accept"))
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			c := onFHIR(calling(base+"/r4", nil, nil))
			if tt.signed {
				c = signedBy(c, domain.Auth{Type: domain.BearerToken}, "token-1234")
			}
			p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
			if p.Status != tt.want || !strings.Contains(p.Message, tt.message) {
				t.Errorf("the probe saw %s: %s", p.Status, p.Message)
			}
			if asked.Load() != "GET /r4/metadata "+fhirJSON {
				t.Errorf("it asked %v", asked.Load())
			}
		})
	}
}

func TestALargeCapabilityStatementIsRead(t *testing.T) {
	large := `{"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0", "description": "` + strings.Repeat("x", 3<<20) + `"}`
	p := onLoopback(t).Probe(t.Context(), onFHIR(calling(answers(t, 200, large), nil, nil)).Integration, nil)
	if p.Status != domain.Healthy {
		t.Errorf("the probe saw %s: %s", p.Status, p.Message)
	}
}

func TestAHealthCheckOfItsOwnGoesBeforeTheCapabilityStatement(t *testing.T) {
	var asked atomic.Value
	base := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.Path) })
	c := onFHIR(calling(base, nil, nil))
	c.Integration.HealthCheck = &domain.HealthCheck{Method: "GET", Path: "/up"}
	if p := onLoopback(t).Probe(t.Context(), c.Integration, nil); p.Status != domain.Healthy || asked.Load() != "/up" {
		t.Errorf("the probe saw %s at %v", p.Status, asked.Load())
	}
}
