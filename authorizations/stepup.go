package authorizations

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// maxStepUp bounds the scopes that upstreams ask for.
const maxStepUp = 50

func stepUpKey(k key) string { return "scopes." + k.String() }

// StepUp notes the scopes that an upstream asked for when it refused a call (RFC 6750, 3.1,
// insufficient_scope). They are asked for with the next consent, and shown as missing until
// then; only a person can give them, never a refresh.
func (a *Authorizations) StepUp(ctx context.Context, u Use, scopes []string) error {
	k := a.key(u)
	known, err := a.stepUp(ctx, k)
	if err != nil {
		return err
	}
	next := slices.Clone(known)
	for _, scope := range scopes {
		if !slices.Contains(next, scope) && len(next) < maxStepUp {
			next = append(next, scope)
		}
	}
	if len(next) == len(known) {
		return nil
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := a.attempts.Put(ctx, stepUpKey(k), data); err != nil {
		return unavailable(err, "store scopes")
	}
	return nil
}

// stepUp returns the scopes that were asked for in the last day.
func (a *Authorizations) stepUp(ctx context.Context, k key) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	entry, err := a.attempts.Get(ctx, stepUpKey(k))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, nil
	case err != nil:
		return nil, unavailable(err, "read scopes")
	}
	var scopes []string
	if json.Unmarshal(entry.Value(), &scopes) != nil {
		return nil, nil
	}
	return scopes, nil
}

// missing returns the scopes that a person has not given: of what would be asked for now.
func (a *Authorizations) missing(ctx context.Context, u Use, k key, state domain.Authorization) ([]string, error) {
	more, err := a.stepUp(ctx, k)
	if err != nil {
		return nil, err
	}
	wanted := u.Integration.Auth.Scopes
	if len(wanted) == 0 {
		wanted = state.Requested
	}
	return state.MissingScopes(append(slices.Clone(wanted), more...)), nil
}
