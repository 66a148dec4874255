// Package eventstore keeps the history of every integration in one JetStream stream:
// a subject per integration, a message per event. An event that Append acknowledged
// is on disk, and no two events follow the same one.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Config configures the streams.
type Config struct {
	Replicas      int           // copies of each stream in a cluster; default 1
	AllowLazySync bool          // start even if a power cut could lose acknowledged events; default false
	Durable       DurableFunc   // reports whether the server syncs before it acknowledges; nil: unknown
	Node          string        // the name of this process on the canary subject; default "local"
	Timeout       time.Duration // of one request to NATS; default 5 s
}

// Codec returns the codec of the stored events. It decodes them twice as fast as
// encoding/json.
func Codec() domain.Codec {
	return domain.Codec{Unmarshal: func(data []byte, v any) error { return json.Unmarshal(data, v) }}
}

// Store appends to and reads from the streams.
type Store struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	log       jetstream.Stream // INTEGRATIONS
	probes    jetstream.Stream
	claims    jetstream.KeyValue
	leases    jetstream.KeyValue // entries expire unless they are renewed
	positions jetstream.KeyValue // of subscribers
	state     jetstream.KeyValue // the lineage of the log
	lineage   atomic.Pointer[Lineage]
	damage    atomic.Pointer[error] // why changes are refused
	highest   highest
	reading   reading
	savedIn   sync.Map // by subscriber, the log of the position saved last
	appends   *group
	cache     *messageCache // nil: every reader decodes for itself
	codec     domain.Codec
	requests  chan struct{} // one for each page being read
	canary    string
	required  []string // streams that the service can't run without
	timeout   time.Duration
}

const (
	logName     = "INTEGRATIONS"
	logPrefix   = "integrations."
	probeName   = "PROBES"
	probePrefix = "probes."
	callName    = "CALLS"
	callPrefix  = "calls."
	canaryName  = "CANARY"
	claimBucket = "IDEMPOTENCY"
	leaseBucket = "LEASES"
	readBucket  = "SUBSCRIBERS"
)

// Open returns the store and creates its streams if they don't exist. It refuses a
// server that acknowledges before it syncs, a log with a limit that could drop events,
// and one whose restore is unfinished.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Store, error) {
	if err := cfg.checkDurable(ctx); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	s := &Store{nc: nc, js: js, codec: Codec(), cache: &messageCache{}, requests: make(chan struct{}, maxRequests), canary: "canary." + orDefault(cfg.Node, "local"), timeout: orDefault(cfg.Timeout, 5*time.Second)}
	if err := CheckRestored(ctx, nc); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if s.log, err = streams.Ensure(ctx, js, logConfig(cfg)); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := checkLog(s.log.CachedInfo().Config); err != nil {
		return nil, fmt.Errorf("open event store: stream %s: %w", logName, err)
	}
	s.appends = &group{js: js, batches: s.log.CachedInfo().Config.AllowAtomicPublish, timeout: s.timeout}
	if s.probes, err = streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: probeName, Subjects: []string{probePrefix + "*.*"}, AllowDirect: true, Replicas: cfg.Replicas,
		MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
	}); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if _, err = streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: callName, Subjects: []string{callPrefix + "*.*"}, AllowDirect: true, Replicas: cfg.Replicas,
		MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
	}); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if _, err = streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: canaryName, Subjects: []string{"canary.*"}, MaxMsgsPerSubject: 1, Replicas: cfg.Replicas,
	}); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if _, err = streams.Ensure(ctx, js, deadLetterConfig(cfg)); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := s.openBuckets(ctx, cfg.Replicas); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := s.openLineage(ctx); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	return s, nil
}

// Attach returns a store over existing streams, for a program that reads the log and
// creates nothing.
func Attach(ctx context.Context, nc *nats.Conn, timeout time.Duration) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("attach to the event store: %w", err)
	}
	s := &Store{nc: nc, js: js, appends: &group{js: js}, codec: Codec(), requests: make(chan struct{}, maxRequests), timeout: orDefault(timeout, 5*time.Second)}
	if s.log, err = js.Stream(ctx, logName); err != nil {
		return nil, fmt.Errorf("attach to the event store: stream %s: %w", logName, err)
	}
	if s.leases, err = js.KeyValue(ctx, leaseBucket); err != nil {
		return nil, fmt.Errorf("attach to the event store: bucket %s: %w", leaseBucket, err)
	}
	if s.positions, err = js.KeyValue(ctx, readBucket); err != nil {
		return nil, fmt.Errorf("attach to the event store: bucket %s: %w", readBucket, err)
	}
	if s.state, err = js.KeyValue(ctx, stateBucket); err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("attach to the event store: bucket %s: %w", stateBucket, err)
	}
	if _, _, err := s.readLineage(ctx); err != nil {
		return nil, fmt.Errorf("attach to the event store: %w", err)
	}
	return s, nil
}

func (s *Store) openBuckets(ctx context.Context, replicas int) error {
	for _, bucket := range []struct {
		to   *jetstream.KeyValue
		name string
		ttl  time.Duration
	}{
		{&s.claims, claimBucket, 24 * time.Hour}, {&s.leases, leaseBucket, leaseFor}, {&s.positions, readBucket, 0}, {&s.state, stateBucket, 0},
	} {
		var err error
		*bucket.to, err = streams.EnsureBucket(ctx, s.js, jetstream.KeyValueConfig{Bucket: bucket.name, TTL: bucket.ttl, Replicas: max(replicas, 1)})
		if err != nil {
			return err
		}
	}
	return nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func logConfig(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: logName, Subjects: []string{logPrefix + "*.*"}, Replicas: cfg.Replicas,
		AllowDirect: true, AllowAtomicPublish: true, DenyDelete: true, DenyPurge: true,
	}
}

// subject returns the subject of an integration's events.
func subject(prefix string, w domain.Workspace, id domain.ID) string {
	return prefix + string(w) + "." + string(id)
}

// parseSubject is the reverse of subject.
func parseSubject(s string) (domain.Workspace, domain.ID) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return "", ""
	}
	return domain.Workspace(parts[1]), domain.ID(parts[2])
}

// Head returns the position of the last event in the log, 0 when it is empty.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	head, err := s.head(ctx, logName)
	s.highest.observe(s.Lineage().ID(), head)
	return head, err
}

// ProbeHead returns the position of the last probe result, 0 when there is none.
func (s *Store) ProbeHead(ctx context.Context) (uint64, error) {
	return s.head(ctx, probeName)
}

func (s *Store) head(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	st, err := s.js.Stream(ctx, stream) // a fresh handle: Info would write to a shared one
	if err != nil {
		return 0, unavailable(err, "read head")
	}
	return st.CachedInfo().State.LastSeq, nil
}
