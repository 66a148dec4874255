package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// Latest reads the last event of each integration in a stream. Its cost grows with the
// number of integrations, not with the length of the stream.
type Latest struct {
	Known    int    // how many events there are to read at the start
	Position uint64 // once Commits has ended without an error, every event up to here was considered

	// Commits yields the events in stream order. Events recorded in the meantime may be
	// among them, so an integration may appear more than once.
	Commits iter.Seq2[[]Commit, error]
}

// Latest reads the last event of each integration.
func (s *Store) Latest(ctx context.Context) (Latest, error) {
	return s.latest(ctx, logName, Selection{}.filter(logPrefix))
}

// LatestIn is Latest for the selected integrations only.
func (s *Store) LatestIn(ctx context.Context, of Selection) (Latest, error) {
	return s.latest(ctx, logName, of.filter(logPrefix))
}

// LatestProbes reads the last probe result of each integration.
func (s *Store) LatestProbes(ctx context.Context) (Latest, error) {
	return s.latest(ctx, probeName, Selection{}.filter(probePrefix))
}

// errGap means that a message was lost between the server and this process.
var errGap = errors.New("a message got lost on the way")

// consumerTimeout bounds how long the server may take to find the last event of each
// integration. It reads the whole stream for that: a million events took 9 s beside other
// work, and 60 s on a machine at ten times its load.
const consumerTimeout = 5 * time.Minute

// latest creates the consumer, then reads the head, then starts to read. So it delivers
// the last events at the time of the consumer and everything up to the head: nothing up
// to the head is missed.
func (s *Store) latest(ctx context.Context, stream, filter string) (Latest, error) {
	bounded, cancel := context.WithTimeout(ctx, max(s.timeout, consumerTimeout))
	defer cancel()
	consumer, err := s.js.CreateConsumer(bounded, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: filter,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 5 * time.Minute,
	})
	if err != nil {
		return Latest{}, unavailable(err, "read the last events of "+stream)
	}
	head, err := s.head(ctx, stream)
	if err != nil {
		return Latest{}, err
	}
	r := latestReader{store: s, consumer: consumer, stream: stream, filter: filter, head: head}
	return Latest{Known: int(consumer.CachedInfo().NumPending), Position: head, Commits: r.commits}, nil //nolint:gosec // a count of events fits
}

// latestReader reads one consumer to the head of its stream.
type latestReader struct {
	store    *Store
	consumer jetstream.Consumer
	stream   string
	filter   string
	head     uint64

	received, lastSequence uint64 // messages, and the sequence of the last of them
	waited                 time.Duration
}

// commits reads and decodes ahead of its consumer.
func (r *latestReader) commits(yield func([]Commit, error) bool) {
	type step struct {
		commits []Commit
		err     error
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps := make(chan step, 2)
	go func() {
		defer close(steps)
		defer r.store.deleteConsumer(r.stream, r.consumer.CachedInfo())
		for {
			commits, err := r.next(ctx)
			if err == nil && len(commits) == 0 {
				return
			}
			select {
			case steps <- step{commits, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for s := range steps {
		if !yield(s.commits, s.err) {
			return
		}
	}
}

// maxInFlight is how many messages may be in flight at once: a configuration has up to 1 MiB,
// and a server buffers at most 64 MiB for a connection. (A limit in bytes doesn't work:
// for a consumer like this one, the server skips the message that no longer fits.)
const maxInFlight = 32

// minYield is how many bytes of messages are yielded together, at least, so that a
// caller can write them together.
const minYield = 512 << 10

// next returns some of the remaining commits, nothing at the end.
func (r *latestReader) next(ctx context.Context) ([]Commit, error) {
	var commits []Commit
	size := 0
	for r.lastSequence < r.head && size < minYield {
		batch, err := r.consumer.FetchNoWait(maxInFlight)
		if err != nil {
			return nil, unavailable(err, "read the last events of "+r.stream)
		}
		before := len(commits)
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return nil, fmt.Errorf("read position: %w", err)
			}
			if r.received++; meta.Sequence.Consumer != r.received {
				return nil, unavailable(errGap, "read the last events of "+r.stream)
			}
			r.lastSequence = meta.Sequence.Stream
			c := r.store.commit(msg.Subject(), meta.Sequence.Stream, msg.Headers(), msg.Data())
			if err := c.unknown(); err != nil {
				return nil, err
			}
			commits = append(commits, c)
			size += len(msg.Data())
		}
		if batch.Error() != nil {
			return nil, unavailable(batch.Error(), "read the last events of "+r.stream)
		}
		if len(commits) > before {
			continue
		}
		if done, err := r.drained(ctx); done || err != nil {
			return commits, err
		}
	}
	return commits, nil
}

// How long to wait for a replica that is behind.
const (
	replicaWait  = 100 * time.Millisecond // between two checks
	replicaGives = 30 * time.Second
)

// drained reports whether there is nothing left to read though the head was not
// reached, because a limit dropped its message. A replica that is behind or empty has
// nothing left either, so drained asks the leader.
func (r *latestReader) drained(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.store.timeout)
	defer cancel()
	info, err := r.consumer.Info(ctx)
	switch {
	case err != nil:
		return false, unavailable(err, "read the last events of "+r.stream)
	case info.Delivered.Consumer != r.received:
		return false, unavailable(errGap, "read the last events of "+r.stream)
	case info.NumPending > 0:
		return false, nil
	}
	last, err := streams.LastFromLeader(ctx, r.store.nc, r.stream, r.filter) // the head may be of another workspace
	if err != nil {
		return false, unavailable(err, "read the last events of "+r.stream)
	}
	if last == nil || last.Sequence <= r.lastSequence {
		return true, nil
	}
	if r.waited += replicaWait; r.waited > replicaGives {
		return false, unavailable(errBehind, "read the last events of "+r.stream)
	}
	streams.Wait(ctx, replicaWait)
	return false, nil
}

// deleteConsumer removes a consumer, if there is one. One that is not removed expires.
func (s *Store) deleteConsumer(stream string, consumer *jetstream.ConsumerInfo) {
	if consumer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, stream, consumer.Name)
}
