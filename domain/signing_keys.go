package domain

import (
	"slices"
	"time"
)

// The pauses of a rotation that names none.
const (
	defaultPublish = time.Hour      // from the publication of a key until it signs
	defaultOverlap = 24 * time.Hour // from then on the previous key is published
	maxPause       = 30 * 24 * time.Hour
)

// maxGenerated bounds the keys that one decision generates, which takes a while each.
const maxGenerated = 4

// SigningKey returns the generated key that signs at a time.
func (a Auth) SigningKey(at time.Time) (PublishedKey, bool) {
	for _, key := range slices.Backward(a.SigningKeys) {
		if !key.SignsFrom.After(at) {
			return key, true
		}
	}
	if len(a.SigningKeys) > 0 { // the clock went back
		return a.SigningKeys[0], true
	}
	return PublishedKey{}, false
}

// PublishedKeys returns the generated keys that verifiers may meet at a time.
func (a Auth) PublishedKeys(at time.Time) []PublishedKey {
	return slices.DeleteFunc(slices.Clone(a.SigningKeys), func(k PublishedKey) bool { return !k.Until.IsZero() && !at.Before(k.Until) })
}

// signingKeys settles the keys that the service generates. A key belongs to the
// destinations that it was generated for, as every secret does; since nobody could give
// it again, another destination gets another key.
func (s *sealer) signingKeys(in *object, path string, next, now authAt) {
	a := next.auth
	if a.PrivateKeyGenerate == "" || a.SecretField() != PrivateKeyField {
		a.PrivateKeyGenerate, a.SigningKeys = "", nil
		return
	}
	use := SecretUse{Field: PrivateKeyField, Call: true, Token: a.UsesToken()}
	wanted, present := a.destinationsOf(use, next.urls...), now.auth.destinationsOf(use, now.urls...)
	a.SigningKeys = slices.DeleteFunc(a.PublishedKeys(s.by.At), func(k PublishedKey) bool {
		return !covers(k.PrivateKey.Destinations, wanted) && !covers(present, wanted)
	})
	switch n := len(a.SigningKeys); {
	case n == 0:
		s.generate(in, path, a, wanted, s.by.At)
	case a.SigningKeys[n-1].Algorithm != a.PrivateKeyGenerate:
		s.rotate(in, path, a, wanted, defaultPublish, defaultOverlap)
	}
}

// generate adds a key that signs from a time.
func (s *sealer) generate(in *object, path string, a *Auth, destinations []string, from time.Time) {
	switch s.generated++; {
	case s.by.NewKey == nil:
		in.problem("private_key_generate", "not_allowed", "has a key generated when the integration is saved: only then can it be registered")
		return
	case s.generated > maxGenerated:
		in.problem("private_key_generate", "too_many", "would have more than %d keys generated in one request", maxGenerated)
		return
	}
	made, err := s.by.NewKey(a.PrivateKeyGenerate)
	if err != nil {
		in.problem("private_key_generate", "enum", "no key could be generated")
		return
	}
	ref := s.ref(path+"."+PrivateKeyField, 0, destinations)
	s.sealed = append(s.sealed, SealedSecret{Ref: ref, Secret: made.Private})
	a.SigningKeys = append(a.SigningKeys, PublishedKey{
		ID: made.ID, Algorithm: a.PrivateKeyGenerate, Public: made.Public, SignsFrom: from, PrivateKey: ref,
	})
}

// rotate publishes a key that signs after publish, and keeps the present one published
// for overlap after that. A key that is published and does not sign yet is brought
// forward instead.
func (s *sealer) rotate(in *object, path string, a *Auth, destinations []string, publish, overlap time.Duration) {
	from := s.by.At.Add(publish)
	last := &a.SigningKeys[len(a.SigningKeys)-1]
	if pending := last.SignsFrom.After(s.by.At); pending && last.Algorithm == a.PrivateKeyGenerate {
		if from.Before(last.SignsFrom) {
			last.SignsFrom = from
		}
		from = last.SignsFrom
	} else {
		s.generate(in, path, a, destinations, from)
	}
	for n := range a.SigningKeys[:len(a.SigningKeys)-1] {
		if key := &a.SigningKeys[n]; key.Until.IsZero() || key.Until.After(from.Add(overlap)) {
			key.Until = from.Add(overlap)
		}
	}
}

// checkKey reports whether a private key signs with the algorithm of a, which is inferred
// from a key that is given without one. It notes the type of the key in its reference:
// a later change of the algorithm is checked by it.
func (a *Auth) checkKey(in *object, ref *SecretRef, given Secret, isGiven bool, now *Auth) bool {
	if isGiven {
		key, err := ReadSigningKey("", given.Reveal())
		if err == nil {
			ref.KeyType = key.Type()
		}
		return true // it was read with the algorithm before
	}
	switch {
	case now == nil || now.AssertionAlgorithm == a.AssertionAlgorithm:
		return true
	case ref.KeyType == "":
		in.problem(PrivateKeyField, "secret_required", "must be given again, so that it is checked whether it signs with %s", a.AssertionAlgorithm)
		return false
	}
	if needed := keyTypeOf[a.AssertionAlgorithm]; needed != ref.KeyType {
		in.problem("assertion_algorithm", "private_key_invalid", "%s signs with a key of type %s, and the private key is of type %s: give another one", a.AssertionAlgorithm, needed, ref.KeyType)
		return false
	}
	return true
}
