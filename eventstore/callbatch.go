package eventstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// sealCallTime bounds how long a call waits to be sealed.
const sealCallTime = 2 * time.Second

// EncodeCall returns the record of a call. A call has been made: when a person can't be sealed, it
// is recorded without them.
func (s *Store) EncodeCall(ctx context.Context, e domain.IntegrationInvoked, m domain.Metadata) (CallRecord, error) {
	sealing, cancel := context.WithTimeout(ctx, sealCallTime)
	defer cancel()
	to := subject(callPrefix, e.Workspace, e.ID)
	msg, err := s.message(sealing, to, e, m)
	if domain.KindOf(err) == domain.Unavailable {
		if _, failed := s.persons.SealName(sealing, e.Workspace, m.Actor); failed != nil {
			m.Actor = ""
		}
		m.Address = ""
		msg, err = s.message(sealing, to, e, m)
	}
	if err != nil {
		return CallRecord{}, fmt.Errorf("record on %s: %w", callName, err)
	}
	return CallRecord{msg.Subject, msg.Header, msg.Data}, nil
}

// minCallBatch is the fewest calls that are stored as one batch, which costs the server a
// folder of its own: ADR 14.
const minCallBatch = 4

// RecordCalls stores calls, and returns their positions in the stream of calls once all are
// on disk. After an error some of them may be stored: see RecordedCalls.
func (s *Store) RecordCalls(ctx context.Context, calls []CallRecord) ([]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	all := make([]*nats.Msg, len(calls))
	for n, c := range calls {
		all[n] = &nats.Msg{Subject: c.subject, Header: nats.Header{}, Data: c.data}
		for name, values := range c.header {
			all[n].Header[name] = values
		}
	}
	positions, log := make([]uint64, len(all)), s.Lineage().ID()
	if s.batchCalls && len(all) >= minCallBatch {
		ack, err := jetstreamext.PublishMsgBatch(ctx, s.js, all, jetstreamext.BatchFlowControl{})
		if err != nil {
			return nil, unavailable(err, "record on "+callName)
		}
		for n := range positions {
			positions[n] = ack.Sequence - ack.BatchSize + 1 + uint64(n)
		}
		s.kept.add(log, positions[0], calls...)
		return positions, nil
	}
	for n, msg := range all {
		ack, err := s.js.PublishMsg(ctx, msg)
		if err != nil {
			return nil, unavailable(err, "record on "+callName)
		}
		positions[n] = ack.Sequence
		s.kept.add(log, ack.Sequence, calls[n])
	}
	return positions, nil
}

// RecordedCalls returns the positions of those of the calls that are stored after a position,
// by their ids.
func (s *Store) RecordedCalls(ctx context.Context, after uint64, calls []CallRecord) (map[string]uint64, error) {
	wanted, subjects := map[string]bool{}, map[string]bool{}
	for _, c := range calls {
		wanted[c.ID()], subjects[c.subject] = true, true
	}
	if err := s.callsHandled(ctx); err != nil {
		return nil, err
	}
	found := map[string]uint64{}
	for of := range subjects {
		for at, more := after, true; more; {
			var page []Commit
			var err error
			if page, more, err = s.page(ctx, callName, of, at, maxAsked); err != nil {
				return nil, err
			}
			for _, c := range page {
				at = c.Position
				if wanted[c.Meta.CommandID] {
					found[c.Meta.CommandID] = c.Position
				}
			}
			if more && len(page) > 0 {
				continue
			}
			next, err := streams.NextFromLeader(ctx, s.nc, callName, of, at+1)
			if err != nil {
				return nil, unavailable(err, "read "+callName)
			}
			if more = next != nil; more { // which the server that answered does not have yet
				streams.Wait(ctx, 50*time.Millisecond)
			}
		}
	}
	_, err := s.head(ctx, callName) // the leader leads
	return found, err
}

// callsHandled waits until the server has handled the calls that this connection has sent, also
// those that nobody waits for any more: it sends one that the stream must refuse, behind them.
func (s *Store) callsHandled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err := s.js.PublishMsg(ctx, nats.NewMsg(callPrefix+"none.none"), jetstream.WithExpectLastSequence(math.MaxInt64))
	if !streams.IsConflict(err) {
		return unavailable(err, "wait for "+callName)
	}
	return nil
}

// BeforeCalls has calls read only after store, which stores those that this process has
// made. It must be called before the first call is read.
func (s *Store) BeforeCalls(store func(context.Context) error) { s.storeCalls = store }

// batched lets a stream take batches, which one of an earlier version doesn't do yet, and
// reports whether it does.
func (s *Store) batched(ctx context.Context, stream jetstream.Stream) bool {
	cfg := stream.CachedInfo().Config
	if cfg.AllowAtomicPublish {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cfg.AllowAtomicPublish = true
	_, err := s.js.UpdateStream(ctx, cfg)
	return err == nil // without the permission, messages are stored one by one
}

// callsStored stores the calls that this process has made.
func (s *Store) callsStored(ctx context.Context) error {
	if s.storeCalls == nil {
		return nil
	}
	return s.storeCalls(ctx)
}
