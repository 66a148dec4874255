package domain

import (
	"encoding/json"
	"slices"
	"strings"
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
	if v, given := o.given("last_tested_at"); given {
		if text, ok := v.(string); !ok || !isRFC3339(text) {
			o.problem("last_tested_at", "read_only", "can't be set; leave it out")
		}
	}
	o.known["removed_endpoints"] = true // of the answer of an update
}

func isRFC3339(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil
}

// isTime reports whether a member is a time as it is shown: in microseconds.
func isTime(v any, now time.Time) bool {
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.Equal(now.Truncate(time.Microsecond))
}

// readSecretStates accepts the member that shows which secrets an auth has, if it shows
// what they are at present.
func readSecretStates(in *object, present *Auth) {
	v, given := in.given("secrets")
	if !given {
		return
	}
	var now map[string]SecretRef
	if present != nil {
		now = present.Secrets
	}
	states, ok := v.(map[string]any)
	same := ok && len(states) == len(now)
	for field, state := range states {
		ref, has := now[field]
		members, isObject := state.(map[string]any)
		same = same && has && isObject && isSecretState(members, ref)
	}
	if !same {
		in.problem("secrets", "read_only", "can't be set, and differs from the present state: leave it out, and give a new secret in its own member")
	}
}

func isSecretState(members map[string]any, now SecretRef) bool {
	version, whole := wholeNumber(members["version"])
	return len(members) == 3 && members["set"] == (now.Version > 0) && whole && version >= 0 && uint64(version) == now.Version &&
		isTime(members["updated_at"], now.UpdatedAt)
}

// readKeyStates accepts the member that shows the keys that the service generated, if it
// shows what they are at present.
func readKeyStates(in *object, present *Auth) {
	v, given := in.given("signing_keys")
	if !given {
		return
	}
	var now []PublishedKey
	if present != nil {
		now = present.SigningKeys
	}
	states, ok := v.([]any)
	same := ok && len(states) == len(now)
	for n := 0; same && n < len(now); n++ {
		members, isObject := states[n].(map[string]any)
		same = isObject && isKeyState(members, now[n])
	}
	if !same {
		in.problem("signing_keys", "read_only", "can't be set, and differs from the present state: leave it out")
	}
}

func isKeyState(members map[string]any, now PublishedKey) bool {
	until := members["published_until"]
	return len(members) == 4 && members["kid"] == now.ID && members["algorithm"] == now.Algorithm && isTime(members["signs_from"], now.SignsFrom) &&
		(until == nil && now.Until.IsZero() || isTime(until, now.Until))
}

// allowNull accepts null for members that don't apply.
func (o *object) allowNull(names ...string) {
	for _, name := range names {
		if o.null(name) {
			o.known[name] = true
		}
	}
}

// WholeNumber returns the value of a whole number in any spelling of JSON: 3, 3.0 and 3e0.
func WholeNumber(n json.Number) (value int64, whole bool) {
	if value, err := n.Int64(); err == nil {
		return value, true
	}
	const exact = 1 << 53 // up to which a float64 holds every whole number
	f, err := n.Float64()
	if err != nil || f >= exact || f <= -exact || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

func wholeNumber(v any) (value int64, whole bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	return WholeNumber(n)
}

// plainNumbers returns a decoded JSON value in which a number has one spelling: clients that
// send back what they read write 1.50 as 1.5, and 1e3 as 1000 or 1000.0.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		plain := make(map[string]any, len(v))
		for name, member := range v {
			plain[name] = plainNumbers(member)
		}
		return plain
	case []any:
		plain := make([]any, len(v))
		for n, element := range v {
			plain[n] = plainNumbers(element)
		}
		return plain
	case json.Number:
		if whole, is := WholeNumber(v); is {
			return whole
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
	}
	return v
}
