package domain

import "time"

// RotateKeys decides to rotate the keys that the service generated. Members of doc:
// publish_seconds, from the publication of the next key until it signs, and
// overlap_seconds, for which the previous key stays published after that. It refuses with
// NotFound, with Conflict and the code no_generated_key, or with Invalid.
func (i Integration) RotateKeys(doc Document, by Attempt) (Decision, error) {
	if err := i.changeable(); err != nil {
		return Decision{}, err
	}
	var problems []Problem
	o := newObject("", doc, &problems)
	publish, overlap := int(defaultPublish.Seconds()), int(defaultOverlap.Seconds())
	o.integer("publish_seconds", &publish, 0, int(maxPause.Seconds()))
	o.integer("overlap_seconds", &overlap, 0, int(maxPause.Seconds()))
	o.done()
	next := i
	next.Configuration = i.clone()
	s, rotated := sealer{by: by}, false
	rotate := func(path string, at authAt) {
		if at.auth == nil || at.auth.PrivateKeyGenerate == "" || len(at.auth.SigningKeys) == 0 {
			return
		}
		rotated = true
		a := at.auth
		use := SecretUse{Field: PrivateKeyField, Call: true, Token: a.UsesToken()}
		a.SigningKeys = a.PublishedKeys(by.At)
		s.rotate(o, path, a, a.destinationsOf(use, at.urls...), time.Duration(publish)*time.Second, time.Duration(overlap)*time.Second)
	}
	rotate("auth", authAt{next.Auth, next.authURLs()})
	for _, e := range next.Endpoints {
		rotate("endpoints."+e.Name+".auth", next.endpointAuth(e.Name))
	}
	if err := RefuseAll(problems); err != nil {
		return Decision{}, err
	}
	if !rotated {
		return Decision{}, Errorf(Conflict, "no_generated_key", "the integration %q has no key that the service generated", i.Name)
	}
	changed := pointers(i.Configuration, next.Configuration)
	if len(changed) == 0 {
		return Decision{}, nil
	}
	next.Version, next.UpdatedAt = i.Version+1, by.At
	return Decision{Event: IntegrationUpdated{Integration: next, Changed: changed}, Seal: s.sealed}, nil
}
