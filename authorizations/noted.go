package authorizations

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// The loss of the tokens of one subject is no sign of a fault of the integration. That of many in a
// short time does: a changed client, or an authorization server that has ended all of them.
const (
	manyLosses  = 10
	lossesIn    = 10 * time.Minute
	lossesEntry = "losses."
)

// losses counts the losses of an integration from a time.
type losses struct {
	From  time.Time `json:"from"`
	Count int       `json:"count"`
}

// noteLoss counts a loss, and logs an error when it is the one that makes them many: once
// for each series.
func (a *Authorizations) noteLoss(ctx context.Context, k key) error {
	if a.Lost != nil {
		a.Lost()
	}
	name := lossesEntry + string(k.workspace) + "." + string(k.id)
	for range attemptsToChange {
		var known losses
		var revision uint64
		entry, err := a.attempts.Get(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
		case err != nil:
			return unavailable(err, "count losses")
		default:
			revision = entry.Revision()
			if json.Unmarshal(entry.Value(), &known) != nil {
				known = losses{}
			}
		}
		if now := a.Now(); now.Sub(known.From) > lossesIn {
			known = losses{From: now}
		}
		known.Count++
		data, err := json.Marshal(known)
		if err != nil {
			return err
		}
		_, err = a.attempts.Update(ctx, name, data, revision)
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue // another process has counted one
		}
		if err != nil {
			return unavailable(err, "count losses")
		}
		if known.Count == manyLosses {
			a.Log.ErrorContext(ctx, "many authorizations of an integration were lost: its client may have changed, or the authorization server has ended all of them",
				slog.String("workspace_id", string(k.workspace)), slog.String("integration_id", string(k.id)), slog.Int("lost", known.Count), slog.Duration("within", lossesIn))
		}
		return nil
	}
	return nil
}

// prove records that imported tokens were refreshed. The tokens are good if that fails too.
func (a *Authorizations) prove(ctx context.Context, k key, ref domain.SecretRef) {
	if _, err := a.change(ctx, k, "", func(state domain.Authorization) (domain.AuthorizationEvent, error) {
		if state.Grant.ID != ref.ID || !state.Unproven {
			return nil, nil
		}
		return domain.AuthorizationProven{At: a.Now()}, nil
	}); err != nil {
		a.Log.WarnContext(ctx, "recording that imported tokens are good failed", slog.String("integration_id", string(k.id)), slog.Any("err", err))
	}
}
