package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

const sessionBucket = "CONSOLE_SESSIONS"

// Sessions records which sessions of the console were ended before their time, for all
// processes and beyond restarts. It holds them in memory, updated by a watch, so that a
// request needs no other one. It is safe for concurrent use.
type Sessions struct {
	kv    jetstream.KeyValue
	valid time.Duration // how long a session is valid at most
	now   func() time.Time
	log   *slog.Logger

	mu    sync.RWMutex
	owned map[string]ownedSessions // by their owner
	swept time.Time
}

// ownedSessions are the ended sessions of one key or person.
type ownedSessions struct {
	Ended  map[string]time.Time `json:"ended"`           // and until when they would have been valid, by their id
	Before time.Time            `json:"before,omitzero"` // all that started before it are ended too

	revision uint64
}

// maxEndedSessions bounds what is kept of one owner. Beyond it, all older sessions of the owner
// are ended.
const maxEndedSessions = 100

// OpenSessions returns the ended sessions once all of them are loaded, and follows changes until
// ctx ends. A session is valid for a time at most.
func OpenSessions(ctx context.Context, nc *nats.Conn, replicas int, valid time.Duration, now func() time.Time, log *slog.Logger) (*Sessions, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	s := &Sessions{valid: valid, now: now, log: log, owned: map[string]ownedSessions{}}
	s.kv, err = streams.EnsureBucket(ctx, js, jetstream.KeyValueConfig{Bucket: sessionBucket, Replicas: max(replicas, 1), TTL: valid})
	if err == nil {
		err = (&follower{js, "the ended sessions of the console", log}).follow(ctx, nc, s.kv, s.learn)
	}
	if err != nil {
		return nil, fmt.Errorf("open sessions: %w", err)
	}
	return s, nil
}

// recordOf is the key of an owner in the bucket.
func recordOf(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(sum[:16])
}

// Ended reports whether a session of an owner was ended.
func (s *Sessions) Ended(owner, id string, started time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	of := s.owned[recordOf(owner)]
	_, is := of.Ended[id]
	return is || started.Before(of.Before)
}

// End ends a session of an owner: in this process at once, even if it returns an error, and once
// it returns nil for good. The error is Unavailable if that could not be recorded.
func (s *Sessions) End(ctx context.Context, owner, id string, started time.Time) error {
	until := started.Add(s.valid)
	if !s.now().Before(until) {
		return nil // it has ended by itself
	}
	record := recordOf(owner)
	s.mu.Lock()
	s.owned[record] = s.owned[record].with(id, until, s.now())
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	var err error
	for range maxConflicts {
		if err = s.record(ctx, record, id, until); !streams.IsConflict(err) && !errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
	}
	if err != nil {
		return domain.Wrap(fmt.Errorf("end a session: %w", err), domain.Unavailable, "sessions_unavailable", "the end of the session could not be recorded; try again")
	}
	return nil
}

const (
	recordWithin = 5 * time.Second
	maxConflicts = 20 // of sign-outs of one owner at the same time
)

// record adds a session to the record of its owner.
func (s *Sessions) record(ctx context.Context, record, id string, until time.Time) error {
	var stored ownedSessions
	entry, err := s.kv.Get(ctx, record)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(entry.Value(), &stored); err != nil {
			return err
		}
		stored.revision = entry.Revision()
	}
	next := stored.with(id, until, s.now())
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	_, err = s.kv.Update(ctx, record, data, stored.revision) // revision 0: there is none yet
	return err
}

// with returns the ended sessions and one more, without those that have expired.
func (o ownedSessions) with(id string, until, now time.Time) ownedSessions {
	next := ownedSessions{Ended: map[string]time.Time{}, Before: o.Before, revision: o.revision}
	for other, end := range o.Ended {
		if now.Before(end) {
			next.Ended[other] = end
		}
	}
	if len(next.Ended) >= maxEndedSessions {
		next.Ended, next.Before = map[string]time.Time{}, now
	}
	next.Ended[id] = until
	return next
}

func (s *Sessions) learn(e jetstream.KeyValueEntry) error {
	if e.Operation() != jetstream.KeyValuePut {
		return nil // only its age deletes a record, and then nothing of it is valid
	}
	var stored ownedSessions
	if err := json.Unmarshal(e.Value(), &stored); err != nil {
		return fmt.Errorf("read ended sessions %s: %w", e.Key(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.owned[e.Key()]
	if e.Revision() <= known.revision {
		return nil
	}
	for id, until := range known.Ended { // that are not recorded yet
		if _, is := stored.Ended[id]; !is && s.now().Before(until) {
			stored = stored.with(id, until, s.now())
		}
	}
	stored.revision = e.Revision()
	if known.Before.After(stored.Before) {
		stored.Before = known.Before
	}
	s.owned[e.Key()] = stored
	s.sweep()
	return nil
}

// sweep forgets, now and then, owners of whom nothing would be valid any more. The caller holds
// the lock.
func (s *Sessions) sweep() {
	now := s.now()
	if now.Sub(s.swept) < time.Hour {
		return
	}
	s.swept = now
	for record, of := range s.owned {
		if of.over(now, s.valid) {
			delete(s.owned, record)
		}
	}
}

// over reports whether all ended sessions have expired.
func (o ownedSessions) over(now time.Time, valid time.Duration) bool {
	for _, until := range o.Ended {
		if now.Before(until) {
			return false
		}
	}
	return !now.Before(o.Before.Add(valid))
}
