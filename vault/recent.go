package vault

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// How long, and how many, sealed values are kept in memory.
const (
	recentFor = time.Second
	maxRecent = 1000
)

// recent keeps the sealed values that were read last, and nothing in the clear: each is
// unsealed again when it is needed. Another process may destroy a value, so they are kept for
// a moment only.
type recent struct {
	mu  sync.Mutex
	all map[string]sealed // by subject
}

type sealed struct {
	msg  *jetstream.RawStreamMsg
	read time.Time
}

func (r *recent) get(subject string) *jetstream.RawStreamMsg {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.all[subject]
	if !known || time.Since(s.read) > recentFor {
		return nil
	}
	return s.msg
}

func (r *recent) put(subject string, msg *jetstream.RawStreamMsg, read time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= maxRecent {
		r.all = map[string]sealed{}
	}
	r.all[subject] = sealed{msg, read}
}

func (r *recent) forget(subject string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, subject)
}

// OpenRecent is Open for a value that is never replaced under its reference, such as a secret
// of an integration. It reads the vault once a second for each: another process may have
// destroyed the value in the second before.
func (v *Vault) OpenRecent(ctx context.Context, o domain.Owner, ref domain.SecretRef) (domain.Secret, error) {
	at := subject(o, ref)
	if msg := v.recent.get(at); msg != nil {
		if text, err := v.open(msg, associated(o, ref)); err == nil {
			return domain.NewSecret(string(text)), nil
		}
		v.recent.forget(at) // the root key may have been rotated
	}
	now := time.Now() //nolint:forbidigo // how long ago, nothing else
	msg, secret, err := v.read(ctx, o, ref)
	if err == nil {
		v.recent.put(at, msg, now)
	}
	return secret, err
}
