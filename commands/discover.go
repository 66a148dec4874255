package commands

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// discoverTimeout bounds a discovery, which may take several requests.
const discoverTimeout = 20 * time.Second

// Discover lists what the upstream of an integration offers as endpoints, or what the
// description does if one is given. It stores nothing but that the upstream was asked. It
// also returns the integration, for its configured endpoints.
func (s *Service) Discover(ctx context.Context, by Caller, id domain.ID, d domain.Description) (domain.Discovery, domain.Integration, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.Discovery{}, domain.Integration{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	start := s.Now()
	found, err := withSecrets(ctx, s, by, i, func(now domain.Integration, keyring domain.Keyring) (domain.Discovery, error) {
		i = now
		return s.Connectors.Discover(ctx, i, keyring, d)
	})
	if asked := d.URL != "" || !d.Given(); asked && err == nil {
		s.recordDiscovery(ctx, by, i, s.Now().Sub(start), found)
	}
	return found, i, err
}

// DiscoverUnsaved is Discover for the configuration in doc, as in TestUnsavedConnection.
func (s *Service) DiscoverUnsaved(ctx context.Context, by Caller, doc domain.Document, d domain.Description) (domain.Discovery, domain.Integration, error) {
	i, keyring, err := s.unsaved(ctx, by, doc)
	if err != nil {
		return domain.Discovery{}, i, err
	}
	if unset := s.missingSettings(i); unset != "" {
		return domain.Discovery{}, i, domain.Errorf(domain.Conflict, "misconfigured", "%s", unset)
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	start := s.Now()
	found, err := s.Connectors.Discover(ctx, i, keyring, d)
	if asked := d.URL != "" || !d.Given(); asked && err == nil {
		s.recordDiscovery(ctx, by, i, s.Now().Sub(start), found)
	}
	return found, i, err
}
