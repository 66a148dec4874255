package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// PublicKeys returns the JSON Web Key Set of the private key that an integration
// authenticates with, to register with its authorization server. Without a private key it
// returns NotFound.
func (s *Service) PublicKeys(ctx context.Context, w domain.Workspace, id domain.ID) ([]byte, error) {
	i, err := s.current(ctx, w, id)
	if err != nil {
		return nil, err
	}
	if i.Auth == nil || i.Auth.SecretField() != domain.PrivateKeyField {
		return nil, domain.Errorf(domain.NotFound, "no_private_key", "the integration %q does not authenticate with a private key", i.Name)
	}
	key, err := s.keyring(i.Owner(), nil)(ctx, i.Auth.Secret())
	if err != nil {
		return nil, err
	}
	return s.JWKS(*i.Auth, key)
}
