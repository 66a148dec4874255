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

// maxAhead is what the server counts of a message beside what a publisher may
// give it: the subjects.
const maxAhead = 4 << 10

// underWay bounds what the server may have on its way to one reader, because it
// cuts off a connection that is 64 MiB behind: many messages, unless they are
// large. Any one fits. (A consumer of the last messages per subject passes over
// the message that doesn't fit any more; one of all messages sends it next.)
func (s *Store) underWay() jetstream.PullConsumeOpt {
	return jetstream.PullMaxMessagesWithBytesLimit(maxBatch, int(s.nc.MaxPayload())+maxAhead)
}

// After yields every event after a position in the order of the log, history
// first and then live until ctx ends, with no gap and no event twice. A batch is
// what is ready at the moment, at least one event. An error ends the sequence;
// calling After again with the last position goes on from there. ErrOtherLog says
// that the position is of another log by now.
func (s *Store) After(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, logName, nil, position)
}

// AfterIn is After for the selected events only.
func (s *Store) AfterIn(ctx context.Context, of Selection, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, logName, []string{of.filter(logPrefix)}, position)
}

// ProbesAfter is After for the stream of probe results. Results that were
// dropped by its limits are passed over.
func (s *Store) ProbesAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, probeName, nil, position)
}

// ProbesAfterIn is ProbesAfter for the selected results only.
func (s *Store) ProbesAfterIn(ctx context.Context, of Selection, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, probeName, []string{of.filter(probePrefix)}, position)
}

// CallsAfter is After for the stream of calls. Those that were dropped by its
// limits are passed over.
func (s *Store) CallsAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, callName, nil, position)
}

func (s *Store) tail(ctx context.Context, stream string, filter []string, position uint64) iter.Seq2[[]Commit, error] {
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
				commits[n] = s.recent.read(stream, m.sequence, m.msg.Headers(), m.msg.Data(), func() Commit {
					return s.commit(m.msg.Subject(), m.sequence, m.msg.Headers(), m.msg.Data())
				})
			}
			if !yield(commits, nil) {
				return
			}
		}
	}
}

// checkGaps refuses a batch that leaves out events which the leader of the log has.
// The replica that is read may be damaged, and passes over what it can't read.
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
	pending  uint64 // how many more there were to send
	err      error
}

// consume feeds the messages after a position into a channel until ctx ends.
// The ordered consumer behind it restarts itself where it was interrupted.
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
	}, s.underWay())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, consuming.Stop)
	go func() { // a consumer that ends by itself ended because the connection did
		<-consuming.Closed()
		if ctx.Err() == nil {
			send(sequenced{err: jetstream.ErrConnectionClosed})
		}
	}()
	return messages, nil
}

// next waits for a message and takes with it what else is ready.
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
