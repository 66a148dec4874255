package domain

import "slices"

// Consents reports whether a person must consent before an integration can be called.
func (i Integration) Consents() bool { return i.Auth != nil && i.Auth.Type == AuthorizationCode }

// ConsentBinding returns what a grant of an integration is bound to: where its tokens go,
// and who may ask for them. A grant with another binding is not used. The client is not part
// of it: a grant keeps the one that it was given to.
func (i Integration) ConsentBinding() string {
	a := i.Auth
	var origins []string
	for _, u := range i.authURLs() {
		if o := Origin(u); o != "" {
			origins = append(origins, o)
		}
	}
	slices.Sort(origins)
	bound := []any{
		i.Incarnation, slices.Compact(origins), a.TokenIn.place(), a.Issuer, a.AuthorizationURL, a.TokenURL, a.RevocationURL, a.Registration,
		a.Resource, a.Places(), a.tokenFormat(),
	}
	if capture := a.captureBinding(); capture != "" {
		bound = append(bound, capture)
	}
	return digest(bound)
}

// SecretOrigins returns the origins that the client secret of a consent was given for.
func (i Integration) SecretOrigins() []string {
	var all []string
	for _, u := range i.Auth.tokenURLs(i.authURLs()) {
		if o := Origin(u); o != "" {
			all = append(all, o)
		}
	}
	return all
}

// Usable reports whether calls of an integration may use the authorization, with the
// reason why not.
func (a Authorization) Usable(i Integration) (LossCause, bool) {
	switch {
	case a.State != IsAuthorized && a.State != ReauthorizationRequired, a.Incarnation != i.Incarnation:
		return "", false
	case a.State == ReauthorizationRequired:
		return a.Lost, false
	case a.Binding != i.ConsentBinding():
		return LossChanged, false
	}
	return "", true
}
