package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Queue is the stream of probes to be made: schedules, what they make due, and
// what somebody asked for. Any number of processes share the work. It is a
// Subscriber of Watermill, for the topics Due and Asked.
type Queue struct {
	js      jetstream.JetStream
	stream  jetstream.Stream
	timeout time.Duration

	AtOnce     int           // probes that one process has under way of one topic; default 128
	AtOnceEach int           // those of one workspace among them; default 32
	Again      time.Duration // when a probe that could not be recorded is made again; default 1 s
	Log        *slog.Logger  // default slog.Default()
}

// The topics of the queue.
const (
	Due   = "due"   // by a schedule
	Asked = "asked" // by somebody who waits
)

const (
	queueName      = "PROBE_WORK"
	schedulePrefix = "probe.schedule."
	takenFor       = 30 * time.Second // a probe whose process is gone by then is made by another
	askedFor       = time.Minute      // nobody waits longer for a probe
	mostTaken      = 2048             // by one process of one topic, with those that wait for their turn
)

// What a message says beside its payload: what was asked for says the position
// after which a result is wanted.
const (
	metaWorkspace = "workspace_id"
	metaID        = "integration_id"
	metaSince     = "since" // when it became due, RFC 3339
)

// OpenQueue returns the queue, creating its stream when it is not there yet.
func OpenQueue(ctx context.Context, nc *nats.Conn, replicas int) (*Queue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open probe queue: %w", err)
	}
	cfg := jetstream.StreamConfig{
		Name: queueName, Subjects: []string{schedulePrefix + "*.*", subjectOf(Due, "*", "*"), subjectOf(Asked, "*", "*")}, Replicas: replicas,
		Retention: jetstream.WorkQueuePolicy, AllowMsgSchedules: true, AllowMsgTTL: true, AllowDirect: true,
		MaxMsgsPerSubject: 1, // what is still to be done when its schedule fires again is done once
	}
	if replicas <= 1 {
		// Nothing here waits for a disk: a schedule that is lost with the process is
		// set again when schedules are settled, and a probe is asked for again.
		// Replicated streams don't offer this.
		cfg.PersistMode = jetstream.AsyncPersistMode
	}
	stream, err := streams.Ensure(ctx, js, cfg)
	if err != nil {
		return nil, fmt.Errorf("open probe queue: %w", err)
	}
	q := &Queue{js: js, stream: stream, timeout: 5 * time.Second, AtOnce: 128, AtOnceEach: 32, Again: time.Second, Log: slog.Default()}
	for _, topic := range []string{Due, Asked} {
		if _, err := q.consumer(ctx, topic); err != nil {
			return nil, fmt.Errorf("open probe queue: %w", err)
		}
	}
	return q, nil
}

func (q *Queue) consumer(ctx context.Context, topic string) (jetstream.Consumer, error) {
	return q.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "probers-" + topic, FilterSubject: subjectOf(topic, "*", "*"), AckPolicy: jetstream.AckExplicitPolicy, AckWait: takenFor,
		MaxAckPending: -1, // each process bounds its own
	})
}

func subjectOf(topic string, w domain.Workspace, id domain.ID) string {
	return "probe." + topic + "." + string(w) + "." + string(id)
}

// Ask has an integration probed soon, unless a result is recorded after a
// position in the log of probes by then. While it is being probed because
// somebody else asked, this changes nothing.
func (q *Queue) Ask(ctx context.Context, w domain.Workspace, id domain.ID, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	_, err := q.js.Publish(ctx, subjectOf(Asked, w, id), strconv.AppendUint(nil, after, 10),
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgTTL(askedFor))
	if err != nil && !streams.IsConflict(err) {
		return unavailable(err, "ask for a probe")
	}
	return nil
}

// Waiting returns how many probes of a topic nobody has taken yet, as the server
// counts them: a moment after they were asked for.
func (q *Queue) Waiting(ctx context.Context, topic string) (uint64, error) {
	consumer, err := q.stream.Consumer(ctx, "probers-"+topic)
	if err != nil {
		return 0, unavailable(err, "read the probe queue")
	}
	return consumer.CachedInfo().NumPending, nil
}

// Subscribe implements message.Subscriber of Watermill. A message that is not
// acknowledged comes again, here or elsewhere.
func (q *Queue) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	go func() {
		defer close(messages)
		for ctx.Err() == nil {
			if err := q.take(ctx, topic, messages); err != nil && ctx.Err() == nil {
				q.Log.WarnContext(ctx, "probes can't be taken just now; trying again", slog.String("topic", topic), slog.Any("err", err))
			}
			pause(ctx, q.Again)
		}
	}()
	return messages, nil
}

// Close implements message.Subscriber of Watermill. What Subscribe began ends
// with its context.
func (q *Queue) Close() error { return nil }

// take hands messages on, as many at once as have their turn, until ctx ends or
// something fails.
func (q *Queue) take(ctx context.Context, topic string, to chan<- *message.Message) error {
	opening, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	consumer, err := q.consumer(opening, topic)
	if err != nil {
		return err
	}
	taken, err := consumer.Messages(jetstream.PullMaxMessages(mostTaken))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, taken.Stop)()
	defer taken.Stop()
	var settling errgroup.Group // Go waits while that many are under way
	settling.SetLimit(mostTaken)
	defer func() { _ = settling.Wait() }() // nothing is sent after the end
	turns := newTurns(q.AtOnce, q.AtOnceEach)
	for {
		msg, err := taken.Next()
		if err != nil {
			return err
		}
		settling.Go(func() error {
			q.settle(ctx, turns, msg, to)
			return nil
		})
	}
}

// settle hands one message on when it has its turn, and tells the server what
// became of it.
func (q *Queue) settle(ctx context.Context, turns *turns, msg jetstream.Msg, to chan<- *message.Message) {
	told := newMessage(ctx, msg)
	end, err := turns.take(ctx, told.Metadata[metaWorkspace], func() { _ = msg.InProgress() })
	if err != nil {
		if errors.Is(err, errFull) {
			_ = msg.NakWithDelay(q.Again)
		}
		return
	}
	defer end()
	select {
	case to <- told:
	case <-ctx.Done():
		return
	}
	select {
	case <-told.Acked():
		err = msg.Ack()
	case <-told.Nacked():
		err = msg.NakWithDelay(q.Again)
	case <-ctx.Done():
		return
	}
	if err != nil {
		q.Log.WarnContext(ctx, "a probe may be made again", slog.Any("err", err))
	}
}

func newMessage(ctx context.Context, msg jetstream.Msg) *message.Message {
	meta, err := msg.Metadata()
	if err != nil {
		meta = &jetstream.MsgMetadata{} // not a message of a stream; the handler refuses it
	}
	told := message.NewMessage(fmt.Sprintf("probe-%d", meta.Sequence.Stream), msg.Data())
	told.SetContext(ctx)
	if parts := strings.Split(msg.Subject(), "."); len(parts) == 4 {
		told.Metadata = message.Metadata{metaWorkspace: parts[2], metaID: parts[3], metaSince: meta.Timestamp.Format(time.RFC3339Nano)}
	}
	return told
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// unavailable wraps err, a failure of NATS, as what the caller may know of it.
func unavailable(err error, doing string) error {
	return domain.Because(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "probe_queue_unavailable", "the probe queue can't be reached just now; try again")
}
