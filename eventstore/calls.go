package eventstore

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// keepCalls is how long calls are kept, unless an operator sets another time.
const keepCalls = 30 * 24 * time.Hour

func callConfig(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: callName, Subjects: []string{callPrefix + "*.*"}, AllowDirect: true, AllowAtomicPublish: true, Replicas: cfg.Replicas, MaxAge: keepCalls,
	}
}

// KeepCalls sets how long calls are kept; 0 leaves that as it is. It also ends the limit on
// their number that earlier versions set. It reports whether it changed something.
func (s *Store) KeepCalls(ctx context.Context, age time.Duration) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout) // a user without the permission gets no reply
	defer cancel()
	stream, err := s.js.Stream(ctx, callName)
	if err != nil {
		return false, unavailable(err, "read the settings of "+callName)
	}
	cfg := stream.CachedInfo().Config
	if cfg.MaxMsgsPerSubject <= 0 && (age == 0 || cfg.MaxAge == age) {
		return false, nil
	}
	cfg.MaxMsgsPerSubject, cfg.MaxAge = -1, orDefault(age, cfg.MaxAge)
	if _, err := s.js.UpdateStream(ctx, cfg); err != nil {
		return false, unavailable(err, "change the settings of "+callName)
	}
	return true, nil
}

// CallHead returns the position of the last call, 0 when there is none.
func (s *Store) CallHead(ctx context.Context) (uint64, error) {
	if err := s.callsStored(ctx); err != nil {
		return 0, err
	}
	return s.head(ctx, callName)
}

// CallPage is Page for the stream of calls.
func (s *Store) CallPage(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	if err := s.callsStored(ctx); err != nil {
		return nil, false, err
	}
	return s.page(ctx, callName, of.filter(callPrefix), after, limit)
}

// CallPageBefore is PageBefore for the stream of calls.
func (s *Store) CallPageBefore(ctx context.Context, of Selection, before uint64, limit int) ([]Commit, bool, error) {
	if before == 0 {
		head, err := s.CallHead(ctx)
		if err != nil {
			return nil, false, err
		}
		before = head + 1
	} else if err := s.callsStored(ctx); err != nil {
		return nil, false, err
	}
	return s.pageBefore(ctx, callName, of.filter(callPrefix), before, firstStretch, limit)
}

// FirstCallAt returns the position of the first of the selected calls that was recorded at a
// time or later, 0 when there is none.
func (s *Store) FirstCallAt(ctx context.Context, of Selection, at time.Time) (uint64, error) {
	if err := s.callsStored(ctx); err != nil {
		return 0, err
	}
	first, err := s.firstAt(ctx, callName, of.filter(callPrefix), at)
	if err != nil {
		return 0, unavailable(err, "read "+callName)
	}
	return first, nil
}
