package commands

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// keySet is a JSON Web Key Set (RFC 7517, 5).
type keySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// PublicKeys returns the JSON Web Key Set of the private keys that an integration
// authenticates with, for its authorization servers. The next key of a rotation is in it
// before it signs, and the previous one for a while after that. Without a private key it
// returns NotFound.
func (s *Service) PublicKeys(ctx context.Context, w domain.Workspace, id domain.ID) ([]byte, error) {
	i, err := s.current(ctx, w, id)
	if err != nil {
		return nil, err
	}
	set := keySet{Keys: []json.RawMessage{}}
	for _, a := range i.Auths() {
		if a.SecretField() != domain.PrivateKeyField {
			continue
		}
		for _, key := range a.PublishedKeys(s.Now()) {
			set.Keys = append(set.Keys, key.Public)
		}
		if len(a.SigningKeys) > 0 {
			continue
		}
		key, err := s.keyring(i.Owner(), nil)(ctx, a.Secret())
		if err != nil {
			return nil, err
		}
		public, err := s.PublicKey(a, key)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, public)
	}
	if len(set.Keys) == 0 {
		return nil, domain.Errorf(domain.NotFound, "no_private_key", "the integration %q does not authenticate with a private key", i.Name)
	}
	set.Keys = slices.CompactFunc(set.Keys, func(a, b json.RawMessage) bool { return string(a) == string(b) })
	return json.Marshal(set)
}

// keySets is the purpose of the ids of key sets.
const keySets = "key set"

// KeySetID returns the opaque id under which anybody may read the public keys of an
// integration.
func (s *Service) KeySetID(w domain.Workspace, id domain.ID) (string, error) {
	return s.Vault.Opaque(keySets, string(w)+" "+string(id))
}

// KeySet is PublicKeys by the opaque id. Whatever is wrong with an id is the same NotFound.
func (s *Service) KeySet(ctx context.Context, opaque string) ([]byte, error) {
	unknown := domain.Errorf(domain.NotFound, "key_set_not_found", "there is no such key set")
	text, ok := s.Vault.FromOpaque(keySets, opaque)
	if !ok {
		return nil, unknown
	}
	w, id, _ := strings.Cut(text, " ")
	set, err := s.PublicKeys(ctx, domain.Workspace(w), domain.ID(id))
	if kind := domain.KindOf(err); kind == domain.NotFound || kind == domain.Invalid {
		return nil, unknown
	}
	return set, err
}

// SigningKeys returns the keys that the service generated for an integration and that are
// published, the oldest of each auth first.
func (s *Service) SigningKeys(ctx context.Context, w domain.Workspace, id domain.ID) ([]domain.PublishedKey, error) {
	i, err := s.current(ctx, w, id)
	if err != nil {
		return nil, err
	}
	keys := []domain.PublishedKey{}
	for _, a := range i.Auths() {
		keys = append(keys, a.PublishedKeys(s.Now())...)
	}
	return keys, nil
}

// RotateKeys publishes the next key of an integration before it signs, and keeps the
// previous one published for a while after that, as doc names it.
func (s *Service) RotateKeys(ctx context.Context, by Caller, id domain.ID, doc domain.Document, on Condition) (Outcome, error) {
	return s.change(ctx, by, id, on, func(i domain.Integration, st domain.Attempt) (domain.Decision, error) {
		return s.orBuiltin(by, id, i).RotateKeys(doc, st)
	})
}

// generator returns a function that generates key pairs for the decisions of one change. A
// decision that is made again gets the same ones: making one takes a while.
func (s *Service) generator() func() func(string) (domain.GeneratedKey, error) {
	made := map[string][]domain.GeneratedKey{}
	return func() func(string) (domain.GeneratedKey, error) {
		used := map[string]int{}
		return func(algorithm string) (domain.GeneratedKey, error) {
			n := used[algorithm]
			used[algorithm]++
			if n < len(made[algorithm]) {
				return made[algorithm][n], nil
			}
			key, err := s.GenerateKey(algorithm)
			if err == nil {
				made[algorithm] = append(made[algorithm], key)
			}
			return key, err
		}
	}
}
