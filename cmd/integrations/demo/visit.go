package demo

import (
	"fmt"
	"net/http"
	"strings"
)

// visit does what a user does with an integration, from its creation to its
// deletion.
func (t *tour) visit(upstream *scheduler, h *hospital) {
	const all = "/v1/demo/integrations"
	const one = all + "/clinic-scheduler"

	created := t.do(exchange{
		title:  "Create an integration. The API key goes to the vault and is never shown again.",
		method: "POST", path: all, want: http.StatusCreated,
		body: map[string]any{
			"name": "clinic-scheduler", "display_name": "Clinic Scheduler", "base_url": upstream.url,
			"auth":      map[string]any{"type": "api_key_header", "api_key_value": schedulerKey},
			"endpoints": []any{listSlots, bookAppointment},
		},
		check: func(r reply) string {
			if r.at("auth", "secrets", "api_key_value", "set") != true || strings.Contains(fmt.Sprint(r.body), schedulerKey) {
				return "the answer must report that a key is set, and not the key"
			}
			return ""
		},
	})
	t.do(exchange{
		title: "The name is unique in the workspace.", method: "POST", path: all, want: http.StatusConflict,
		body:  map[string]any{"name": "clinic-scheduler", "display_name": "Another", "base_url": upstream.url},
		check: wants("name_taken", "code"),
	})
	t.do(exchange{
		title: "A refusal lists every problem at once, by JSON pointer.", method: "POST", path: all, want: http.StatusUnprocessableEntity,
		body:  map[string]any{"name": "X", "display_name": "", "base_url": "ftp://example.com", "colour": "blue"},
		check: wants("validation_failed", "code"),
	})
	t.do(exchange{
		title: "List: the new integration is there at once, beside the built-ins.", method: "GET", path: all + "?sort_by=-created_at&limit=2", want: http.StatusOK,
		check: wants("clinic-scheduler", "items", "0", "name"),
	})
	t.connectHospital(h)
	t.actAsAgent(one)
	t.do(exchange{
		title:  "The agent never sees the scheduler's own key. No answer shows it, not even to you.",
		method: "GET", path: one, want: http.StatusOK, check: wants("Clinic Scheduler", "display_name"),
		brief: []string{"auth.secrets.api_key_value"},
	})
	t.do(exchange{
		title:  "Test an endpoint: the parameters are checked, the call is real, each step of the pipeline is shown.",
		method: "POST", path: one + "/endpoints/list_slots/test", want: http.StatusOK,
		body: map[string]any{"params": map[string]any{"clinic": "north", "date": "2026-12-01"}},
		check: func(r reply) string {
			if r.at("error") != nil || !strings.Contains(fmt.Sprint(r.at("final_result")), "2026-12-01T09:00:00Z") {
				return "the first slot should be in final_result"
			}
			return ""
		},
	})
	t.do(exchange{
		title: "Invalid parameters don't reach the upstream.", method: "POST", path: one + "/endpoints/list_slots/test", want: http.StatusUnprocessableEntity,
		body: map[string]any{"params": map[string]any{"clinic": 7}},
	})
	t.do(exchange{
		title: "Book a slot.", method: "POST", path: one + "/endpoints/book_appointment/test", want: http.StatusOK,
		body:  map[string]any{"params": map[string]any{"clinic": "north", "slot": "north-2026-12-01-9", "patient": "p-17"}},
		check: wants(float64(http.StatusCreated), "status_code"),
	})
	t.do(exchange{title: "Check the health of all integrations.", method: "GET", path: all + "/health-check?max_age_ms=0", want: http.StatusOK, check: wants(3.0, "healthy")})

	upstream.broken.Store(true)
	t.do(exchange{
		title: "The scheduler breaks. The health check reports it, and why.", method: "GET", path: all + "/health-check?max_age_ms=0", want: http.StatusOK,
		check: wants(1.0, "unhealthy"), brief: []string{"integrations.1.message"},
	})
	t.do(exchange{
		title: "A test reports it as well, after two retries, which a GET permits.", method: "POST", path: one + "/endpoints/list_slots/test", want: http.StatusOK,
		body: map[string]any{"params": map[string]any{"clinic": "north", "date": "2026-12-01"}}, check: wants(2.0, "retries"),
	})
	upstream.broken.Store(false)
	t.remark("The scheduler is repaired.")
	t.do(exchange{title: "Test the connection.", method: "POST", path: one + "/test-connection", want: http.StatusOK, check: wants("healthy", "status")})

	t.useHospital()
	t.connectRecords(h)
	if t.exit {
		t.signIn()
	}
	t.change(all, one, created)
	t.do(exchange{
		title: "History: who changed what, and when.", method: "GET", path: one + "/history", want: http.StatusOK, check: wants("integration.updated", "items", "1", "type"),
		brief: []string{"items.1.actor", "items.1.changed"},
	})
	t.lookBack(all, one)
	t.do(exchange{title: "Delete it. It is gone, and its secret is destroyed.", method: "DELETE", path: one, want: http.StatusNoContent})
	t.do(exchange{method: "GET", path: one, want: http.StatusNotFound, check: wants("integration_not_found", "code")})
	t.do(exchange{title: "Its history is not.", method: "GET", path: one + "/history", want: http.StatusOK, check: wants("integration.deleted", "items", "3", "type")})
}

// change updates the integration: on an old version, as a dry run, and on the present
// version.
func (t *tour) change(all, one string, created reply) {
	if t.failed != nil {
		return
	}
	fresh := created.header.Get("ETag")
	t.do(exchange{
		title: "Update on a stale version is refused.", method: "PUT", path: one, want: http.StatusPreconditionFailed,
		header: map[string]string{"If-Match": `"v99"`}, body: map[string]any{"display_name": "Lost Update"}, check: wants("version_mismatch", "code"),
	})
	t.do(exchange{
		title: "A dry run shows the changes and makes none.", method: "PUT", path: one + "?dry_run=true", want: http.StatusOK,
		body:  map[string]any{"display_name": "North Clinic Scheduler"},
		check: wants("North Clinic Scheduler", "changes", "0", "new"), brief: []string{"changes"},
	})
	t.followChange(all, exchange{
		title: "Make the change, on the present version. A listener receives it at once, as a server-sent event.", method: "PUT", path: one, want: http.StatusOK,
		header: map[string]string{"If-Match": fresh}, body: map[string]any{"display_name": "North Clinic Scheduler"},
		check: wants("North Clinic Scheduler", "display_name"), brief: []string{},
	})
	t.do(exchange{
		title: "A key is only sent to the host that it was given for: another host needs it again.", method: "PUT", path: one, want: http.StatusUnprocessableEntity,
		body: map[string]any{"base_url": "https://elsewhere.example.com"}, check: wants("secret_required", "code"),
		brief: []string{"errors.0.detail"},
	})
}

// lookBack reads the audit, and brings an earlier configuration back.
func (t *tour) lookBack(all, one string) {
	t.do(exchange{title: "As it was at its first version; bring that back as a new version. The key stays.", method: "GET", path: one + "?as_of=1", want: http.StatusOK, check: wants("Clinic Scheduler", "display_name")})
	t.do(exchange{
		method: "POST", path: one + "/restore", want: http.StatusOK,
		body: map[string]any{"version": 1}, check: wants("Clinic Scheduler", "display_name"),
	})
	t.do(exchange{title: "What was done in the workspace, the newest first.", method: "GET", path: all + "/events?order=newest&limit=1", want: http.StatusOK, check: wants("integration.updated", "items", "0", "type")})
	t.do(exchange{title: "Its health over time.", method: "GET", path: one + "/health", want: http.StatusOK, check: wants("healthy", "items", "0", "status")})
}

// wants returns a check that a value inside the body is as it should be.
func wants(value any, names ...string) func(reply) string {
	return func(r reply) string {
		if got := r.at(names...); got != value {
			return fmt.Sprintf("%s is %v, it should be %v", strings.Join(names, "."), got, value)
		}
		return ""
	}
}

var listSlots = map[string]any{
	"name": "list_slots", "description": "List the free slots of a clinic on a day.", "method": "GET", "path": "/clinics/{clinic}/slots",
	"input_schema": map[string]any{
		"type": "object", "required": []any{"clinic", "date"},
		"properties": map[string]any{"clinic": map[string]any{"type": "string"}, "date": map[string]any{"type": "string", "format": "date"}},
	},
	"response_filter":  []any{"data.slots[].id", "data.slots[].start"},
	"response_mapping": map[string]any{"free": "data.slots[].start"},
}

var bookAppointment = map[string]any{
	"name": "book_appointment", "description": "Book a free slot for a patient.", "method": "POST", "path": "/clinics/{clinic}/appointments",
	"input_schema": map[string]any{
		"type": "object", "required": []any{"clinic", "slot", "patient"},
		"properties": map[string]any{"clinic": map[string]any{"type": "string"}, "slot": map[string]any{"type": "string"}, "patient": map[string]any{"type": "string"}},
	},
	"result_template": "Booked as number {{ appointment.number }}.",
}
