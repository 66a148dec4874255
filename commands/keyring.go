package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
)

// errReplaced means that a secret was replaced repeatedly while it was needed.
var errReplaced = domain.Errorf(domain.Conflict, "secret_replaced", "the secret of this integration is being replaced; try again")

// withSecrets calls do with an integration and its secrets. When a secret was replaced
// before it could be opened, it calls do once more with the present integration: no request
// that needed the secret has been sent yet.
func withSecrets[T any](ctx context.Context, s *Service, by Caller, i domain.Integration, do func(domain.Integration, domain.Keyring) (T, error)) (T, error) {
	var none T
	if err := mayUse(ctx, i, by.OnBehalfOf); err != nil {
		return none, err
	}
	for range 2 {
		var replaced atomic.Bool
		got, err := do(i, s.withTokens(s.watched(i, &replaced), i, by.OnBehalfOf))
		if !replaced.Load() {
			return got, err
		}
		last, err := s.Events.LoadFromLeader(ctx, i.Workspace, i.ID)
		if err != nil {
			return none, err
		}
		if i = domain.Evolve(domain.Integration{}, last.Event); !i.Exists() || !domain.ScopeOf(ctx).Sees(i) {
			return none, domain.NoSuchIntegration()
		}
		if err := by.May(i); err != nil {
			return none, err
		}
	}
	return none, errReplaced
}

// mayUse refuses with Forbidden tokens of a subject that the API key may not act for.
func mayUse(ctx context.Context, i domain.Integration, subject string) error {
	if i.Consents() && !domain.ScopeOf(ctx).ActsFor(subject) {
		return domain.NotFor(subject)
	}
	return nil
}

// watched returns the keyring of an integration. It sets replaced when a secret is gone
// because the integration references another one now.
func (s *Service) watched(i domain.Integration, replaced *atomic.Bool) domain.Keyring {
	open := s.keyring(i.Owner(), nil)
	return func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		secret, err := open(ctx, ref)
		if refusal, ok := errors.AsType[*domain.Error](err); !ok || refusal.Code != "secret_missing" {
			return secret, err
		}
		last, failed := s.Events.LoadFromLeader(ctx, i.Workspace, i.ID)
		if failed != nil {
			return secret, failed
		}
		now := domain.Evolve(domain.Integration{}, last.Event)
		if !slices.ContainsFunc(now.Secrets(), func(r domain.SecretRef) bool { return r.ID == ref.ID }) {
			replaced.Store(true)
		}
		return secret, err
	}
}

// keyring opens the secrets of an integration: those given with the request, the operator's
// for a built-in, else those of the vault.
func (s *Service) keyring(o domain.Owner, given []domain.SealedSecret) domain.Keyring {
	return func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		for _, secret := range given {
			if secret.Ref.ID == ref.ID {
				return secret.Secret, nil
			}
		}
		builtin, ok := strings.CutPrefix(ref.ID, domain.OperatorSecret)
		if !ok {
			return s.Vault.OpenRecent(ctx, o, ref)
		}
		if key, set := s.OperatorKeys[builtin]; set && key.Reveal() != "" {
			return key, nil
		}
		return domain.Secret{}, domain.Errorf(domain.Invalid, "operator_key_missing", "the operator has not set the key of %s", builtin)
	}
}

// errNoConsents means that this process keeps no authorizations.
var errNoConsents = domain.Errorf(domain.Unavailable, "authorizations_unavailable", "this process keeps no authorizations")

// useOf returns the use of an integration for a subject.
func (s *Service) useOf(i domain.Integration, subject string) authorizations.Use {
	return authorizations.Use{Integration: i, Keyring: s.keyring(i.Owner(), nil), Subject: subject}
}

// withTokens returns a keyring that also opens what a subject has consented to.
func (s *Service) withTokens(open domain.Keyring, i domain.Integration, subject string) domain.Keyring {
	return func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		switch {
		case !domain.IsSignedInRef(ref):
			return open(ctx, ref)
		case s.Authorizations == nil:
			return domain.Secret{}, errNoConsents
		case !i.Consents():
			return domain.Secret{}, authorizations.Required("")
		case !domain.ScopeOf(ctx).ActsFor(subject):
			return domain.Secret{}, domain.NotFor(subject)
		}
		opened, err := s.Authorizations.SignedIn(ctx, s.useOf(i, subject), ref)
		if err != nil {
			return domain.Secret{}, err
		}
		return opened.Secret()
	}
}
