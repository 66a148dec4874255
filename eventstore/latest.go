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

// Latest is the last event of everyone in a stream, as it is being read. What
// it costs grows with how many there are, not with how much has happened.
type Latest struct {
	Known    int    // how many events there were to read at its start
	Position uint64 // once Commits has ended without an error, nothing up to here was missed

	// Commits yields the events in the order of the stream. What is recorded
	// meanwhile may be among them, so an integration may come again.
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

// errGap says that a message got lost on its way here.
var errGap = errors.New("a message got lost on the way")

// latest makes the consumer, then notes the head, then begins to read. So what
// was last when the consumer was made is delivered, and all of what came between
// that and the head: nothing up to the head is missed.
func (s *Store) latest(ctx context.Context, stream, filter string) (Latest, error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
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

	received, reached uint64 // messages, and the sequence of the last of them
	waited            time.Duration
}

// commits reads and decodes ahead of the one who takes.
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
		defer r.forget()
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

// few messages may be on their way at once: a configuration has up to 1 MiB, and
// a server holds no more than 64 MiB for a connection. (A limit in bytes won't
// do: of a consumer like this one, the server passes over the message that
// doesn't fit any more.)
const few = 32

// enough is how many bytes of messages are handed on together, at least: whoever
// writes them somewhere writes them at once.
const enough = 512 << 10

// next returns some of what is left, nothing at the end.
func (r *latestReader) next(ctx context.Context) ([]Commit, error) {
	var commits []Commit
	size := 0
	for r.reached < r.head && size < enough {
		batch, err := r.consumer.FetchNoWait(few)
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
			r.reached = meta.Sequence.Stream
			commits = append(commits, r.store.commit(msg.Subject(), meta.Sequence.Stream, msg.Headers(), msg.Data()))
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

// How long a replica that is behind is waited for.
const (
	replicaWait  = 100 * time.Millisecond // between two looks
	replicaGives = 30 * time.Second
)

// errBehind says that a replica does not have what the leader has.
var errBehind = errors.New("the replica that is read is behind its leader")

// drained reports whether there is no more to come, though the head was not
// reached: its message was dropped by a limit. A replica that is behind, or was
// emptied, has no more to give either, so the leader is asked.
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
	if last == nil || last.Sequence <= r.reached {
		return true, nil
	}
	if r.waited += replicaWait; r.waited > replicaGives {
		return false, unavailable(errBehind, "read the last events of "+r.stream)
	}
	pause(ctx, replicaWait)
	return false, nil
}

// forget removes the consumer. One that is left over removes itself.
func (r *latestReader) forget() {
	ctx, cancel := context.WithTimeout(context.Background(), r.store.timeout)
	defer cancel()
	_ = r.store.js.DeleteConsumer(ctx, r.stream, r.consumer.CachedInfo().Name)
}
