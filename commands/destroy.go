package commands

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// BackupLease is the lease that a running backup holds. While it is held no secret is
// destroyed: the log in the backup may reference it. An erasure holds it too.
const BackupLease = "backup"

// Deferred holds the secrets to destroy after a backup.
type Deferred struct {
	mu      sync.Mutex
	secrets []condemned
}

type condemned struct {
	owner domain.Owner
	ref   domain.SecretRef
}

const (
	maxDeferred  = 10_000 // the sweep destroys the rest
	retryDestroy = time.Second
)

// destroy destroys secrets, even if the caller has gone. If a backup is running or it
// fails, they are destroyed after the backup, or by the sweep.
func (s *Service) destroy(ctx context.Context, o domain.Owner, refs []domain.SecretRef) {
	if len(refs) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	held, err := s.Events.Held(ctx, BackupLease)
	for _, ref := range refs {
		if held {
			s.Deferred.add(condemned{o, ref})
			continue
		}
		if err == nil {
			err = s.Vault.Destroy(ctx, o, ref)
		}
		if err != nil {
			s.Log.WarnContext(ctx, "destroying a superseded secret failed; the sweep destroys it later",
				slog.String("integration_id", string(o.ID)), slog.String("field", ref.Field), slog.Any("err", err))
		}
	}
}

func (d *Deferred) add(c condemned) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.secrets) < maxDeferred {
		d.secrets = append(d.secrets, c)
	}
}

func (d *Deferred) take() []condemned {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.secrets
	d.secrets = nil
	return all
}

// DestroyDeferred destroys the secrets that were replaced during a backup once it is over,
// until ctx ends. It returns nil.
func (s *Service) DestroyDeferred(ctx context.Context) error {
	ticks := time.NewTicker(retryDestroy)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		for _, c := range s.Deferred.take() {
			s.destroy(ctx, c.owner, []domain.SecretRef{c.ref}) // deferred again while the backup is running
		}
	}
}
