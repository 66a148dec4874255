package domain

import (
	"slices"
	"time"
)

// readOnly accepts the members that an integration is shown with and a request can't set,
// so that a document that was read can be sent back. Each must be what it is at present.
// The result of the last probe is an exception, because probes change it at any time: it
// must only be one. Null is the same as absent.
func (i Integration) readOnly(o *object) {
	for _, m := range []struct{ name, now string }{{"id", string(i.ID)}, {"workspace_id", string(i.Workspace)}, {"name", i.Name}} {
		if v, given := o.given(m.name); given && v != m.now {
			o.problem(m.name, "immutable", "can't be changed, it is %q; create another integration instead", m.now)
		}
	}
	if v, given := o.given("builtin"); given && v != i.Builtin {
		o.problem("builtin", "read_only", "can't be set")
	}
	if v, given := o.given("version"); given {
		if n, whole := wholeNumber(v); !whole || n < 0 || uint64(n) != i.Version {
			o.problem("version", "read_only", "is %d now, and can't be set; read the integration again, or leave this out", i.Version)
		}
	}
	for _, m := range []struct {
		name string
		now  time.Time
	}{{"created_at", i.CreatedAt}, {"updated_at", i.UpdatedAt}} {
		if v, given := o.given(m.name); given && !isTime(v, m.now) {
			o.problem(m.name, "read_only", "can't be set; leave it out")
		}
	}
	if v, given := o.given("last_test_status"); given && !slices.ContainsFunc(ProbeStatuses(), func(s ProbeStatus) bool { return v == string(s) }) {
		o.problem("last_test_status", "read_only", "can't be set; leave it out")
	}
	if v, given := o.given("last_test_message"); given {
		if _, ok := v.(string); !ok {
			o.problem("last_test_message", "read_only", "can't be set; leave it out")
		}
	}
	if v, given := o.given("last_tested_at"); given {
		if text, ok := v.(string); !ok || !isRFC3339(text) {
			o.problem("last_tested_at", "read_only", "can't be set; leave it out")
		}
	}
	o.known["removed_endpoints"] = true // of the answer of an update
}
