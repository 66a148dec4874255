// Package recovery decides what happens when data is gone: nothing continues without
// it until an operator accepts the loss.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// secretsStream holds the sealed secrets. It is created before the first event.
const secretsStream = "SECRETS"

// A cluster that has just started may not know all its streams yet.
const (
	streamLookups = 3
	lookupPause   = 500 * time.Millisecond
)

// ErrSecretsLost reports that events name secrets and the stream of the secrets is gone.
var ErrSecretsLost = errors.New("the log has events, and the stream SECRETS, which holds their secrets, is not there: restore it or a backup, " +
	"or go on without the secrets by `integrations accept-loss --apply`")

// OpenVault opens the vault. It creates one only when no event names a secret, because
// an empty vault would hide that the secrets are gone: ErrSecretsLost.
func OpenVault(ctx context.Context, nc *nats.Conn, events *eventstore.Store, keys vault.RootKeys, replicas int) (*vault.Vault, error) {
	lost, err := SecretsLost(ctx, nc, events)
	if err != nil {
		return nil, err
	}
	if lost {
		return nil, ErrSecretsLost
	}
	return vault.Open(ctx, nc, keys, replicas)
}

// SecretsLost reports whether events name secrets and the stream of the secrets is gone.
func SecretsLost(ctx context.Context, nc *nats.Conn, events *eventstore.Store) (bool, error) {
	head, err := events.Head(ctx)
	if err != nil || head == 0 {
		return false, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return false, err
	}
	for range streamLookups {
		_, err := js.Stream(ctx, secretsStream)
		if err == nil {
			return false, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return false, fmt.Errorf("look for the stream %s: %w", secretsStream, err)
		}
		if !streams.Wait(ctx, lookupPause) {
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
