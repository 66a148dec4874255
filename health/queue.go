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
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/streams"
)

// Queue is the stream of probes to make: those due by a schedule and those requested. Any
// number of processes share the work. It is a Watermill Subscriber for the topics Due and
// Asked.
type Queue struct {
	js      jetstream.JetStream
	stream  jetstream.Stream
	timeout time.Duration

	AtOnce     int           // concurrent probes of one topic in one process; default 128
	AtOnceEach int           // of these, probes of one workspace; default 32
	Again      time.Duration // the pause before a failed probe is made again; default 1 s
	Log        *slog.Logger  // default slog.Default()
}

// The topics of the queue.
const (
	Due   = "due"   // due by schedule
	Asked = "asked" // requested by a caller who waits
)

const (
	queueName      = "PROBE_WORK"
	schedulePrefix = "probe.schedule."
	takenFor       = 30 * time.Second // after this, another process makes the probe of one that is gone
	askedFor       = time.Minute      // nobody waits longer for a probe
	maxTaken       = 2048             // by one process for one topic, including those that wait for the limiter
)

// The metadata of a message. The payload of a requested probe is the position after
// which a result is wanted.
const (
	metaWorkspace = "workspace_id"
	metaID        = "integration_id"
	metaSince     = "since" // when it became due, RFC 3339
	metaTrace     = "traceparent"
)

// OpenQueue returns the queue and creates its stream if it doesn't exist.
func OpenQueue(ctx context.Context, nc *nats.Conn, replicas int) (*Queue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open probe queue: %w", err)
	}
	cfg := jetstream.StreamConfig{
		Name: queueName, Subjects: []string{schedulePrefix + "*.*", subjectOf(Due, "*", "*"), subjectOf(Asked, "*", "*")}, Replicas: replicas,
		Retention: jetstream.WorkQueuePolicy, AllowMsgSchedules: true, AllowMsgTTL: true, AllowDirect: true,
		MaxMsgsPerSubject: 1, // a probe that is still waiting when it is due again is made once
	}
	if replicas <= 1 {
		// The queue doesn't need to be synced: a lost schedule is set again when schedules
		// are loaded, and a lost probe is requested again. Replicated streams don't support
		// this mode.
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
		MaxAckPending: -1, // each process limits its own
	})
}

func subjectOf(topic string, w domain.Workspace, id domain.ID) string {
	return "probe." + topic + "." + string(w) + "." + string(id)
}

// Request requests a probe of an integration, unless a result after a position in the log of
// probes is recorded before it is made. It changes nothing while a requested probe of the
// integration is in the queue.
func (q *Queue) Request(ctx context.Context, w domain.Workspace, id domain.ID, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	msg := &nats.Msg{Subject: subjectOf(Asked, w, id), Data: strconv.AppendUint(nil, after, 10)}
	if parent := tracing.Parent(ctx); parent != "" {
		msg.Header = nats.Header{tracing.Header: {parent}}
	}
	_, err := q.js.PublishMsg(ctx, msg,
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgTTL(askedFor))
	if err != nil && !streams.IsConflict(err) {
		return unavailable(err, "ask for a probe")
	}
	return nil
}

// Waiting returns how many probes of a topic no process has taken yet, as the server counts
// them, shortly after they are requested.
func (q *Queue) Waiting(ctx context.Context, topic string) (uint64, error) {
	consumer, err := q.stream.Consumer(ctx, "probers-"+topic)
	if err != nil {
		return 0, unavailable(err, "read the probe queue")
	}
	return consumer.CachedInfo().NumPending, nil
}

// Subscribe implements message.Subscriber of Watermill. A message that is not acknowledged
// is delivered again, here or elsewhere.
func (q *Queue) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	go func() {
		defer close(messages)
		for ctx.Err() == nil {
			if err := q.deliver(ctx, topic, messages); err != nil && ctx.Err() == nil {
				q.Log.WarnContext(ctx, "taking probes from the queue failed; retrying", slog.String("topic", topic), slog.Any("err", err))
			}
			streams.Wait(ctx, q.Again)
		}
	}()
	return messages, nil
}

// Close implements message.Subscriber of Watermill. A subscription ends with its context.
func (q *Queue) Close() error { return nil }

// deliver passes messages on, as many at once as the limiter allows, until ctx ends or an error
// occurs.
func (q *Queue) deliver(ctx context.Context, topic string, to chan<- *message.Message) error {
	opening, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	consumer, err := q.consumer(opening, topic)
	if err != nil {
		return err
	}
	taken, err := consumer.Messages(jetstream.PullMaxMessages(maxTaken))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, taken.Stop)()
	defer taken.Stop()
	var settling errgroup.Group // Go blocks at the limit
	settling.SetLimit(maxTaken)
	defer func() { _ = settling.Wait() }() // nothing is sent after the end
	limits := newLimiter(q.AtOnce, q.AtOnceEach)
	for {
		msg, err := taken.Next()
		if err != nil {
			return err
		}
		settling.Go(func() error {
			q.process(ctx, limits, msg, to)
			return nil
		})
	}
}

// process passes one message on when the limiter allows it, and acknowledges it according to
// the result.
func (q *Queue) process(ctx context.Context, limits *limiter, msg jetstream.Msg, to chan<- *message.Message) {
	probe := newMessage(ctx, msg)
	end, err := limits.acquire(ctx, probe.Metadata[metaWorkspace], func() { _ = msg.InProgress() })
	if err != nil {
		if errors.Is(err, errFull) {
			_ = msg.NakWithDelay(q.Again)
		}
		return
	}
	defer end()
	select {
	case to <- probe:
	case <-ctx.Done():
		return
	}
	select {
	case <-probe.Acked():
		err = msg.Ack()
	case <-probe.Nacked():
		err = msg.NakWithDelay(q.Again)
	case <-ctx.Done():
		return
	}
	if err != nil {
		q.Log.WarnContext(ctx, "acknowledging a probe failed; it may be made again", slog.Any("err", err))
	}
}

func newMessage(ctx context.Context, msg jetstream.Msg) *message.Message {
	meta, err := msg.Metadata()
	if err != nil {
		meta = &jetstream.MsgMetadata{} // not a stream message; the handler refuses it
	}
	probe := message.NewMessage(fmt.Sprintf("probe-%d", meta.Sequence.Stream), msg.Data())
	probe.SetContext(ctx)
	if parts := strings.Split(msg.Subject(), "."); len(parts) == 4 {
		probe.Metadata = message.Metadata{metaWorkspace: parts[2], metaID: parts[3], metaSince: meta.Timestamp.Format(time.RFC3339Nano), metaTrace: msg.Headers().Get(tracing.Header)}
	}
	return probe
}

// unavailable wraps err, a failure of NATS, with a message for the caller.
func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "probe_queue_unavailable", "the probe queue is unavailable; try again")
}
