package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/vault"
)

// secretsStream holds the sealed secrets. It is made before the first event.
const secretsStream = "SECRETS"

// errNoSecrets says that the log has events and that their secrets are gone.
var errNoSecrets = errors.New("the log has events, and the stream SECRETS, which holds their secrets, is not there: restore it or a backup, " +
	"or go on without the secrets by `integrations accept-loss --apply`")

// openVault opens the vault, and makes one only when the log has no event: an empty one
// beside a log would look as if nothing were missing.
func (f storeFlags) openVault(ctx context.Context, b *bus, events *eventstore.Store) (*vault.Vault, error) {
	lost, err := secretsLost(ctx, b, events)
	if err != nil {
		return nil, err
	}
	if lost {
		return nil, errNoSecrets
	}
	return vault.Open(ctx, b.nc, f.rootKeys(), f.Replicas)
}

// secretsLost reports whether events name secrets, and the vault has no stream. It looks
// three times: a cluster that has just started may not know yet all that it has.
func secretsLost(ctx context.Context, b *bus, events *eventstore.Store) (bool, error) {
	head, err := events.Head(ctx)
	if err != nil || head == 0 {
		return false, err
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return false, err
	}
	for range 3 {
		_, err := js.Stream(ctx, secretsStream)
		if err == nil {
			return false, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return false, fmt.Errorf("look for the stream %s: %w", secretsStream, err)
		}
		if !rest(ctx, 500*time.Millisecond) {
			return false, ctx.Err()
		}
	}
	return namesSecrets(ctx, events)
}

// namesSecrets reports whether the last event of any integration names a secret, or
// can't be read.
func namesSecrets(ctx context.Context, events *eventstore.Store) (bool, error) {
	latest, err := events.Latest(ctx)
	if err != nil {
		return false, err
	}
	for commits, err := range latest.Commits {
		if err != nil {
			return false, err
		}
		for _, c := range commits {
			if c.Err != nil || len(domain.Evolve(domain.Integration{}, c.Event).Secrets()) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}
