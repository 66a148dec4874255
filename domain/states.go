package domain

import "time"

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
