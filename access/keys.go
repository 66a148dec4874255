package access

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

const (
	keyBucket = "API_KEYS"
	useBucket = "API_KEY_USE"
)

// Keys issues and authenticates API keys. It holds all of them in memory, updated by a
// watch, so that authentication makes no request.
type Keys struct {
	js  jetstream.JetStream
	kv  jetstream.KeyValue
	use jetstream.KeyValue
	now func() time.Time
	log *slog.Logger

	changes atomic.Uint64 // how often keys changed

	mu   sync.RWMutex
	keys map[string]entry
	with map[domain.Workspace]int // how many keys each workspace has
	used map[string]time.Time     // last recorded use
}

type entry struct {
	key      Key
	revision uint64
}

// Open returns the keys once all of them are loaded, and follows changes until ctx ends.
func Open(ctx context.Context, nc *nats.Conn, replicas int, now func() time.Time, log *slog.Logger) (*Keys, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	k := &Keys{js: js, now: now, log: log, keys: map[string]entry{}, with: map[domain.Workspace]int{}, used: map[string]time.Time{}}
	for name, bucket := range map[string]*jetstream.KeyValue{keyBucket: &k.kv, useBucket: &k.use} {
		if *bucket, err = streams.EnsureBucket(ctx, js, jetstream.KeyValueConfig{Bucket: name, Replicas: max(replicas, 1)}); err != nil {
			return nil, fmt.Errorf("open keys: %w", err)
		}
	}
	for _, follow := range []struct {
		bucket jetstream.KeyValue
		learn  func(jetstream.KeyValueEntry) error
	}{{k.kv, k.learn}, {k.use, k.learnUse}} {
		if err := (&follower{js, "API keys", log}).follow(ctx, nc, follow.bucket, follow.learn); err != nil {
			return nil, fmt.Errorf("open keys: %w", err)
		}
	}
	return k, nil
}

// Authenticate returns the key with a text, or an Unauthenticated error that doesn't
// reveal why.
func (k *Keys) Authenticate(ctx context.Context, text string) (Key, error) {
	refused := domain.Errorf(domain.Unauthenticated, "unauthenticated", "pass a valid API key as a bearer token")
	id, secret, ok := parse(text)
	if !ok {
		return Key{}, refused
	}
	k.mu.RLock()
	key := k.keys[id].key
	k.mu.RUnlock()
	now := k.now()
	if !key.matches(secret, now) || key.Expired(now) {
		return Key{}, refused
	}
	k.noteUse(ctx, id, now)
	return key, nil
}

// Changes counts the key changes that this process has seen. While it stays the same,
// an authenticated key that has not expired is still valid.
func (k *Keys) Changes() uint64 { return k.changes.Load() }

// set records the present state of a key. The caller holds the lock.
func (k *Keys) set(id string, e entry) {
	if before := k.keys[id].key; before.ID != "" {
		if k.with[before.Workspace]--; k.with[before.Workspace] == 0 {
			delete(k.with, before.Workspace)
		}
	}
	if e.key.ID != "" {
		k.with[e.key.Workspace]++
	}
	k.keys[id] = e
	k.changes.Add(1)
}

// HasAny reports whether a workspace has a key, so that it is known to exist.
func (k *Keys) HasAny(w domain.Workspace) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return w != "" && k.with[w] > 0
}

// noteUse records that a key was used, at most once a minute and without delaying the
// request.
func (k *Keys) noteUse(ctx context.Context, id string, at time.Time) {
	k.mu.RLock()
	recent := at.Sub(k.used[id]) < time.Minute
	k.mu.RUnlock()
	if recent {
		return
	}
	k.mu.Lock()
	k.used[id] = at
	k.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := k.use.PutString(ctx, id, at.UTC().Format(time.RFC3339)); err != nil {
			k.log.DebugContext(ctx, "recording the last use of an API key failed", slog.String("key", id), slog.Any("err", err))
		}
	}()
}

// LastUsed returns when a key was last used, zero if never.
func (k *Keys) LastUsed(id string) time.Time {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.used[id]
}

// List returns the keys of a workspace, oldest first.
func (k *Keys) List(w domain.Workspace) []Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	keys := []Key{}
	for _, e := range k.keys {
		if e.key.ID != "" && e.key.Workspace == w {
			keys = append(keys, e.key)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return keys
}

// Issue stores a new key and returns it with its text, which can't be read again.
func (k *Keys) Issue(ctx context.Context, key Key) (Key, string, error) {
	key, text := k.draft(key)
	if err := k.store(ctx, key, 0); err != nil {
		return Key{}, "", err
	}
	return key, text, nil
}

// draft completes a new key and returns its text. It doesn't store the key.
func (k *Keys) draft(key Key) (Key, string) {
	secret := newSecret(32)
	key.ID, key.CreatedAt = newSecret(8), k.now().UTC().Truncate(time.Second)
	key.Hashes = []Hash{{SHA256: hashOf(secret)}}
	return key, format(key.ID, secret)
}

// HeldBy returns the ids of the keys that have seen a secret which this one is used to issue
// or to rotate, itself among them.
func (k Key) HeldBy() []string { return withHolders(k.Holders, []string{k.ID}) }

// IssuedBy returns the key as one that another key issues, or rotates.
func (k Key) IssuedBy(by Key) Key {
	k.Holders = withHolders(k.Holders, by.HeldBy())
	admins := by.AdminHolders
	if by.May(Admin) {
		admins = withHolders(admins, []string{by.ID})
	}
	k.AdminHolders = append([]string{}, withHolders(k.AdminHolders, admins)...)
	return k
}

// Rotate gives a key of workspace w a new secret and returns its text. The previous
// secret stays valid for overlap. The keys that rotate it see it.
func (k *Keys) Rotate(ctx context.Context, w domain.Workspace, id string, overlap time.Duration, by ...Key) (Key, string, error) {
	e, err := k.find(w, id)
	if err != nil {
		return Key{}, "", err
	}
	secret, now := newSecret(32), k.now().UTC().Truncate(time.Second)
	key := e.key
	present := key.Hashes[len(key.Hashes)-1]
	present.Until = now.Add(overlap)
	key.RotatedAt, key.Hashes = now, []Hash{present, {SHA256: hashOf(secret)}}
	for _, one := range by {
		key = key.IssuedBy(one)
	}
	if err := k.store(ctx, key, e.revision); err != nil {
		return Key{}, "", err
	}
	return key, format(id, secret), nil
}

// maxHolders bounds who is remembered for one key: those who saw it first, and last.
const maxHolders = 64

func withHolders(present, more []string) []string {
	all := slices.Clone(present)
	for _, id := range more {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if len(all) > maxHolders {
		all = append(all[:maxHolders/2], all[len(all)-maxHolders/2:]...)
	}
	return all
}

// Revoke ends a key of workspace w immediately. It retries after a conflict.
func (k *Keys) Revoke(ctx context.Context, w domain.Workspace, id string) error {
	for range 8 {
		e, err := k.find(w, id)
		if err != nil {
			return err
		}
		err = k.kv.Delete(ctx, id, jetstream.LastRevision(e.revision))
		switch {
		case err == nil:
			k.forget(id, e.revision)
			return nil
		case !streams.IsConflict(err):
			return unavailable(err, "revoke key")
		}
		if err := k.refresh(ctx, id); err != nil {
			return err
		}
	}
	return errChanging
}

var errChanging = domain.Errorf(domain.Conflict, "changing_too_fast", "the key was changed concurrently; try again")

// refresh reads the present state of a key. Only the watch learns of a deletion: the
// server that answers here may not have the key yet.
func (k *Keys) refresh(ctx context.Context, id string) error {
	latest, err := k.kv.Get(ctx, id)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil
	case err != nil:
		return unavailable(err, "read key")
	}
	return k.learn(latest)
}

// forget removes a key here, unless a later revision is known.
func (k *Keys) forget(id string, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[id].revision == revision {
		k.set(id, entry{revision: revision})
	}
}

func (k *Keys) find(w domain.Workspace, id string) (entry, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e := k.keys[id]
	if e.key.ID == "" || e.key.Workspace != w {
		return entry{}, domain.Errorf(domain.NotFound, "api_key_not_found", "there is no such API key in this workspace")
	}
	return e, nil
}

// store writes a key after a revision, and updates it here immediately.
func (k *Keys) store(ctx context.Context, key Key, after uint64) error {
	data, err := json.Marshal(toStored(key))
	if err != nil {
		return fmt.Errorf("store key: %w", err)
	}
	revision, err := k.kv.Update(ctx, key.ID, data, after)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return errChanging
	case err != nil:
		return unavailable(err, "store key")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[key.ID].revision < revision {
		k.set(key.ID, entry{key: key, revision: revision})
	}
	return nil
}

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "keys_unavailable", "the API keys are unavailable; try again")
}
