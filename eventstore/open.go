package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
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
	s := &Store{nc: nc, js: js, codec: Codec(), cache: &messageCache{}, requests: make(chan struct{}, maxRequests), canary: "canary." + orDefault(cfg.Node, "local"), timeout: orDefault(cfg.Timeout, 5*time.Second), others: cfg.Others}
	if err := CheckRestored(ctx, nc); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if s.log, err = streams.Ensure(ctx, js, logConfig(cfg)); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := s.addSubjects(ctx, logConfig(cfg).Subjects); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := s.openBuckets(ctx, cfg.Replicas); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if err := s.checkLimits(ctx); err != nil {
		return nil, fmt.Errorf("open event store: stream %s: %w", logName, err)
	}
	s.appends = &group{js: js, batches: s.log.CachedInfo().Config.AllowAtomicPublish, timeout: s.timeout, stored: s.stored}
	if s.probes, err = streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: probeName, Subjects: []string{probePrefix + "*.*"}, AllowDirect: true, Replicas: cfg.Replicas,
		MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
	}); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	calls, err := streams.Ensure(ctx, js, callConfig(cfg))
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	s.batchCalls = s.batched(ctx, calls)
	if _, err = streams.Ensure(ctx, js, approvalConfig(cfg)); err != nil {
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
	s := &Store{nc: nc, js: js, codec: Codec(), requests: make(chan struct{}, maxRequests), timeout: orDefault(timeout, 5*time.Second)}
	s.appends = &group{js: js, stored: s.stored}
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

// addSubjects adds the subjects that a log of an earlier version lacks.
func (s *Store) addSubjects(ctx context.Context, subjects []string) error {
	c := s.log.CachedInfo().Config
	missing := slices.DeleteFunc(slices.Clone(subjects), func(subject string) bool { return slices.Contains(c.Subjects, subject) })
	if len(missing) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	c.Subjects = append(slices.Clone(c.Subjects), missing...)
	log, err := s.js.UpdateStream(ctx, c)
	if err != nil {
		return fmt.Errorf("stream %s: add the subjects %v: %w", logName, missing, err)
	}
	s.log = log
	return nil
}

func logConfig(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: logName, Subjects: []string{logPrefix + "*.*", logPrefix + "*.*.*"}, Replicas: cfg.Replicas,
		AllowDirect: true, AllowAtomicPublish: true, DenyDelete: true, DenyPurge: true,
	}
}
