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

// Keys issues and recognises API keys. All of them are held in memory, kept up
// to date by a watch, so that recognising one asks nobody.
type Keys struct {
	js  jetstream.JetStream
	kv  jetstream.KeyValue
	use jetstream.KeyValue
	now func() time.Time
	log *slog.Logger

	changes atomic.Uint64 // of keys

	mu   sync.RWMutex
	keys map[string]entry
	used map[string]time.Time // last use, as far as it was recorded
}

type entry struct {
	key      Key
	revision uint64
}

// Open returns the keys once all of them are known, and follows changes until
// ctx ends.
func Open(ctx context.Context, nc *nats.Conn, replicas int, now func() time.Time, log *slog.Logger) (*Keys, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	k := &Keys{js: js, now: now, log: log, keys: map[string]entry{}, used: map[string]time.Time{}}
	for name, bucket := range map[string]*jetstream.KeyValue{keyBucket: &k.kv, useBucket: &k.use} {
		if *bucket, err = streams.EnsureBucket(ctx, js, jetstream.KeyValueConfig{Bucket: name, Replicas: max(replicas, 1)}); err != nil {
			return nil, fmt.Errorf("open keys: %w", err)
		}
	}
	for _, follow := range []struct {
		bucket jetstream.KeyValue
		learn  func(jetstream.KeyValueEntry) error
	}{{k.kv, k.learn}, {k.use, k.learnUse}} {
		if err := k.follow(ctx, nc, follow.bucket, follow.learn); err != nil {
			return nil, fmt.Errorf("open keys: %w", err)
		}
	}
	return k, nil
}

// Authenticate returns the key that text is, or an Unauthenticated error that
// doesn't say what is wrong with it.
func (k *Keys) Authenticate(ctx context.Context, text string) (Key, error) {
	refused := domain.Errorf(domain.Unauthenticated, "unauthenticated", "give a valid API key as a bearer token")
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

// Changes counts the changes of keys that are known here. While it stays, who was
// authenticated and has not expired still is.
func (k *Keys) Changes() uint64 { return k.changes.Load() }

// put notes what a key is by now. The lock is held.
func (k *Keys) put(id string, e entry) {
	k.keys[id] = e
	k.changes.Add(1)
}

// noteUse records that a key was used, at most once a minute and without
// keeping the request waiting.
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
			k.log.DebugContext(ctx, "the last use of an API key was not recorded", slog.String("key", id), slog.Any("err", err))
		}
	}()
}

// LastUsed returns when a key was last used, zero when it never was.
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

// Issue stores a new key and returns it with its text, which is shown this once.
func (k *Keys) Issue(ctx context.Context, key Key) (Key, string, error) {
	key, text := k.draft(key)
	if err := k.store(ctx, key, 0); err != nil {
		return Key{}, "", err
	}
	return key, text, nil
}

// draft completes a key that is not stored yet, and returns its text.
func (k *Keys) draft(key Key) (Key, string) {
	secret := newSecret(32)
	key.ID, key.CreatedAt = newSecret(8), k.now().UTC().Truncate(time.Second)
	key.Hashes = []Hash{{SHA256: hashOf(secret)}}
	return key, format(key.ID, secret)
}

// Rotate gives a key of workspace w another secret and returns its text. The
// one before goes on working for overlap.
func (k *Keys) Rotate(ctx context.Context, w domain.Workspace, id string, overlap time.Duration) (Key, string, error) {
	e, err := k.find(w, id)
	if err != nil {
		return Key{}, "", err
	}
	secret, now := newSecret(32), k.now().UTC().Truncate(time.Second)
	key := e.key
	present := key.Hashes[len(key.Hashes)-1]
	present.Until = now.Add(overlap)
	key.RotatedAt, key.Hashes = now, []Hash{present, {SHA256: hashOf(secret)}}
	if err := k.store(ctx, key, e.revision); err != nil {
		return Key{}, "", err
	}
	return key, format(id, secret), nil
}

// Revoke ends a key of workspace w at once, and decides anew when someone else
// was faster.
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
		if err := k.catchUp(ctx, id); err != nil {
			return err
		}
	}
	return errChanging
}

var errChanging = domain.Errorf(domain.Conflict, "changing_too_fast", "the key was changed by someone else just now; try again")

// catchUp learns what a key is by now. That it is gone only the watch tells: who
// answers here may not have it yet.
func (k *Keys) catchUp(ctx context.Context, id string) error {
	latest, err := k.kv.Get(ctx, id)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil
	case err != nil:
		return unavailable(err, "read key")
	}
	return k.learn(latest)
}

// forget ends a key here, unless something later than a revision is known.
func (k *Keys) forget(id string, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[id].revision == revision {
		k.put(id, entry{revision: revision})
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

// store writes a key that follows a revision, and knows it at once.
func (k *Keys) store(ctx context.Context, key Key, after uint64) error {
	data, err := json.Marshal(key)
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
		k.put(key.ID, entry{key: key, revision: revision})
	}
	return nil
}

func unavailable(err error, doing string) error {
	return domain.Because(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "keys_unavailable", "the API keys can't be changed just now; try again")
}
