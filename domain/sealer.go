package domain

import (
	"fmt"
	"maps"
	"slices"
)

// sealer collects the secrets of a decision.
type sealer struct {
	by     Attempt
	sealed []SealedSecret

	names, generated int
}

// authAt is an auth, nil for none, and the base URLs that it goes to.
type authAt struct {
	auth *Auth
	urls []string
}

// auth settles the secrets of an auth: those that are given, and those that it had.
func (s *sealer) auth(o *object, path string, next, now authAt, given givenSecrets) {
	a := next.auth
	if a == nil {
		return
	}
	in := newObject(o.pointer("auth"), nil, o.problems)
	refs := map[string]SecretRef{}
	for _, use := range a.SecretUses() {
		wanted := a.destinationsOf(use, next.urls...)
		present, had := a.Secrets[use.Field]
		secret, isGiven := given[use.Field]
		switch {
		case isGiven && secret.Reveal() == "":
			continue
		case !isGiven && !had && use.Optional:
			continue
		}
		ref, ok := s.settle(in, pointerOf(use.Field)[1:], path+"."+use.Field, present, had, wanted, now.auth.destinationsOf(use, now.urls...), secret, isGiven)
		if ok && use.Field == PrivateKeyField && !a.checkKey(in, &ref, secret, isGiven, now.auth) {
			ok = false
		}
		if ok {
			refs[use.Field] = ref
		}
	}
	if a.Type == Basic && a.Username == "" && len(refs) == 0 {
		in.required("username", false)
	}
	if a.Secrets = refs; len(refs) == 0 {
		a.Secrets = nil
	}
	s.signingKeys(in, path, next, now)
}

// settle returns the reference of a secret: the given one, or the present one if it is
// kept. A secret may only be kept if it still goes where it was given for, or where it
// goes now. (Earlier versions recorded the destinations of a token and of the secret it
// was issued for as the same, so those don't distinguish the two.)
func (s *sealer) settle(o *object, name, field string, present SecretRef, had bool, wanted, now []string, given Secret, isGiven bool) (SecretRef, bool) {
	switch {
	case isGiven:
		ref := s.ref(field, present.Version, wanted)
		s.sealed = append(s.sealed, SealedSecret{Ref: ref, Secret: given})
		return ref, true
	case had && (covers(present.Destinations, wanted) || covers(now, wanted)):
		return present, true
	case had:
		o.problemAt(name, "secret_required", "must be given again, because it would now go to another destination than the one it was given for")
	default:
		o.requiredAt(name)
	}
	return SecretRef{}, false
}

// ref returns the reference of a new secret.
func (s *sealer) ref(field string, version uint64, destinations []string) SecretRef {
	s.names++
	return SecretRef{
		ID: fmt.Sprintf("%s-%d", s.by.ID, s.names-1), Field: field, Version: version + 1, UpdatedAt: s.by.At, Destinations: destinations,
	}
}

func (s *sealer) mcpHeaders(i *Integration, o *object, given givenSecrets) {
	in := newObject("/mcp_headers", nil, o.problems)
	for _, name := range slices.Sorted(maps.Keys(i.MCPHeaders)) {
		present := i.MCPHeaders[name]
		secret, isGiven := given[name]
		i.MCPHeaders[name], _ = s.settle(in, EscapePointer(name), "mcp_headers."+name, present, present.ID != "", []string{Origin(i.MCPURL) + " header " + name}, nil, secret, isGiven)
	}
}

// headers settles the secret headers of an integration, which go with every call.
func (s *sealer) headers(i *Integration, urls, now []string, o *object, given givenSecrets) {
	refs := map[string]SecretRef{}
	in := newObject("/headers", nil, o.problems)
	for _, name := range slices.Sorted(maps.Keys(i.Headers)) {
		if i.Headers[name] != nil {
			continue
		}
		present, had := i.HeaderSecrets[name]
		secret, isGiven := given["headers."+name]
		ref, ok := s.settle(in, EscapePointer(name), "headers."+name, present, had, headerDestinations(name, urls), headerDestinations(name, now), secret, isGiven)
		if ok {
			refs[name] = ref
		}
	}
	if i.HeaderSecrets = refs; len(refs) == 0 {
		i.HeaderSecrets = nil
	}
}

func headerDestinations(name string, urls []string) []string {
	var all []string
	for _, u := range urls {
		if o := Origin(u); o != "" {
			all = append(all, o+" header "+name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
