package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// maxBatch bounds how many events After yields at once.
const maxBatch = 500

// maxAhead is what the server counts for a message beyond the payload limit: the
// subjects.
const maxAhead = 4 << 10

// inFlight bounds what the server may have in flight to one reader, because it closes a
// connection that is 64 MiB behind: many messages, unless they are large. Any single one
// fits. (A consumer of the last message per subject skips a message that no longer fits;
// a consumer of all messages sends it next.)
func (s *Store) inFlight() jetstream.PullConsumeOpt {
	return jetstream.PullMaxMessagesWithBytesLimit(maxBatch, int(s.nc.MaxPayload())+maxAhead)
}

// ProbesAfter is After for the stream of probe results. Results that its limits dropped
// are skipped.
func (s *Store) ProbesAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, probeName, nil, position)
}

// ProbesAfterIn is ProbesAfter for the selected results only.
func (s *Store) ProbesAfterIn(ctx context.Context, of Selection, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, probeName, []string{of.filter(probePrefix)}, position)
}

func (s *Store) tail(ctx context.Context, stream string, filter []string, position uint64) iter.Seq2[[]Commit, error] {
	return s.tailUntil(ctx, stream, filter, position, func(uint64, uint64) bool { return false })
}

// tailUntil is tail that ends when done reports true, which is called after each batch with its last
// position and how many messages are pending.
func (s *Store) tailUntil(ctx context.Context, stream string, filter []string, position uint64, done func(last, pending uint64) bool) iter.Seq2[[]Commit, error] {
	return func(yield func([]Commit, error) bool) {
		reading, end := s.startReading(ctx)
		defer end()
		fail := func(err error) {
			switch {
			case errors.Is(context.Cause(reading), ErrOtherLog):
				yield(nil, ErrOtherLog)
			case ctx.Err() == nil:
				yield(nil, unavailable(err, "tail "+stream))
			}
		}
		messages, err := s.consume(reading, stream, filter, position)
		if err != nil {
			fail(err)
			return
		}
		for {
			now := s.era()
			batch, err := next(reading, messages)
			if err != nil {
				fail(err)
				return
			}
			if stream == logName && filter == nil {
				if err := s.checkGaps(reading, position, batch); err != nil {
					fail(err)
					return
				}
				position = batch[len(batch)-1].sequence
			}
			commits := make([]Commit, len(batch))
			for n, m := range batch {
				commits[n] = s.opened(s.cache.read(stream, m.sequence, m.msg.Headers(), m.msg.Data(), func() Commit {
					return s.decode(m.msg.Subject(), m.sequence, m.msg.Headers(), m.msg.Data())
				}))
				if err := commits[n].unknown(); err != nil {
					fail(err)
					return
				}
				if stream == logName {
					s.last.follow(now, lastCommit{commits[n], len(m.msg.Data())})
				}
			}
			if last := batch[len(batch)-1]; !yield(commits, nil) || done(last.sequence, last.pending) {
				return
			}
		}
	}
}

// checkGaps refuses a batch that lacks events which the leader of the log has. A damaged
// replica skips events that it can't read.
func (s *Store) checkGaps(ctx context.Context, after uint64, batch []sequenced) error {
	for _, m := range batch {
		if m.sequence > after+1 {
			there, err := streams.FromLeader(ctx, s.nc, logName, after+1)
			if err == nil && there != nil {
				err = fmt.Errorf("%w: it has no event %d", errBehind, after+1)
			}
			if err != nil {
				return err
			}
		}
		after = m.sequence
	}
	return nil
}

type sequenced struct {
	msg      jetstream.Msg
	sequence uint64
	pending  uint64 // how many more were pending
	err      error
}

// consume sends the messages after a position to a channel until ctx ends. Its ordered
// consumer restarts itself after an interruption.
func (s *Store) consume(ctx context.Context, stream string, filter []string, position uint64) (<-chan sequenced, error) {
	start, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	consumer, err := s.js.OrderedConsumer(start, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    position + 1,
		FilterSubjects: filter,
	})
	if err != nil {
		return nil, err
	}
	messages := make(chan sequenced, 2*maxBatch)
	send := func(m sequenced) {
		select {
		case messages <- m:
		case <-ctx.Done():
		}
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			send(sequenced{err: fmt.Errorf("read position: %w", err)})
			return
		}
		send(sequenced{msg: msg, sequence: meta.Sequence.Stream, pending: meta.NumPending})
	}, s.inFlight())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		consuming.Stop()
		s.deleteConsumer(stream, consumer.CachedInfo()) // nats.go doesn't, and each message costs the server something for each
	})
	go func() { // a consumer ends by itself only when the connection does
		<-consuming.Closed()
		if ctx.Err() == nil {
			send(sequenced{err: jetstream.ErrConnectionClosed})
		}
	}()
	return messages, nil
}

// next waits for a message and returns it with all others that are ready.
func next(ctx context.Context, messages <-chan sequenced) ([]sequenced, error) {
	var batch []sequenced
	select {
	case m := <-messages:
		batch = append(batch, m)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(batch) < maxBatch && len(messages) > 0 {
		batch = append(batch, <-messages)
	}
	for _, m := range batch {
		if m.err != nil {
			return nil, m.err
		}
	}
	return batch, nil
}

// startReading returns a context that ends when the log is replaced, and a function that
// must be called at the end. While there are readers, the lineage is watched.
func (s *Store) startReading(ctx context.Context) (context.Context, func()) {
	return s.reading.start(ctx, s.watchLineage)
}

// watchLineage reads the lineage periodically.
func (s *Store) watchLineage(ctx context.Context) {
	for streams.Wait(ctx, guardEvery) {
		_, _, _ = s.readLineage(ctx) // retried
	}
}
