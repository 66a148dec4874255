package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// Counter counts the recorded calls. Of all processes that run one, one counts.
type Counter struct {
	Events *eventstore.Store
	Usage  *Store
	Log    *slog.Logger
}

const (
	leaseName = "usage"
	pause     = 250 * time.Millisecond // between batches, so that calls are written together
	retry     = time.Second            // after a failure
	fullBatch = 250                    // calls that are counted without a pause after them
	maxCached = 10_000                 // days in memory
)

// Run counts until ctx ends. It returns nil then.
func (c *Counter) Run(ctx context.Context) error {
	return c.Events.Lead(ctx, leaseName, func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := c.count(ctx)
			if ctx.Err() != nil {
				break
			}
			c.Log.WarnContext(ctx, "counting calls failed; retrying", slog.Any("err", err))
			streams.Wait(ctx, retry)
		}
		return nil
	})
}

// count counts new calls until something fails.
func (c *Counter) count(ctx context.Context) error {
	b := &book{js: c.Usage.js, days: map[string]*entry{}}
	log := c.Events.Lineage().ID()
	position, err := b.begin(ctx, log)
	if err != nil {
		return err
	}
	for commits, err := range c.Events.CallsAfter(ctx, position) {
		if err != nil {
			return err
		}
		for _, commit := range commits {
			if call, ok := commit.Event.(domain.IntegrationInvoked); ok {
				if err := b.add(ctx, commit.Ref(), commit.Position, call); err != nil {
					return err
				}
			}
		}
		if err := b.write(ctx, counted{Position: commits[len(commits)-1].Position, Log: log}); err != nil {
			return err
		}
		if len(commits) < fullBatch {
			streams.Wait(ctx, pause)
		}
	}
	return ctx.Err()
}

// counted is up to where calls are counted, and in which log.
type counted struct {
	Position uint64 `json:"position"`
	Log      string `json:"log"`
}

// countedSubject can't be that of a day, which has four parts.
const countedSubject = prefix + "counted"

// book keeps the days that are being counted.
type book struct {
	js      jetstream.JetStream
	days    map[string]*entry // by subject
	changed map[string]bool
	counted uint64 // the sequence of the message with up to where calls are counted
}

type entry struct {
	day
	sequence uint64 // of its message; 0: none yet
}

// begin returns the position after which calls are not counted yet. Counts of another log
// are deleted: its positions mean other calls. They are counted again, as far as calls are
// kept.
func (b *book) begin(ctx context.Context, log string) (uint64, error) {
	stream, err := b.js.Stream(ctx, Stream)
	if err != nil {
		return 0, unavailable(err)
	}
	last, msg, err := lastCounted(ctx, stream)
	switch {
	case err != nil:
		return 0, err
	case msg != nil && last.Log == log:
		b.counted = msg.Sequence
		return last.Position, nil
	}
	if err := stream.Purge(ctx); err != nil {
		return 0, unavailable(err)
	}
	return 0, b.mark(ctx, counted{Log: log})
}

// lastCounted returns up to where calls are counted, and the message with it; nil: they
// never were.
func lastCounted(ctx context.Context, stream jetstream.Stream) (last counted, msg *jetstream.RawStreamMsg, err error) {
	msg, err = stream.GetLastMsgForSubject(ctx, countedSubject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return counted{}, nil, nil
	case err != nil:
		return counted{}, nil, unavailable(err)
	}
	if err := json.Unmarshal(msg.Data, &last); err != nil {
		return counted{}, nil, fmt.Errorf("read up to where calls are counted: %w", err)
	}
	return last, msg, nil
}

// Counted returns the position of a log up to which its calls are counted, and when that
// was stored; 0 and the zero time: none is.
func (s *Store) Counted(ctx context.Context, log string) (position uint64, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, Stream)
	if err != nil {
		return 0, time.Time{}, unavailable(err)
	}
	last, msg, err := lastCounted(ctx, stream)
	if err != nil || msg == nil || last.Log != log {
		return 0, time.Time{}, err
	}
	return last.Position, msg.Time, nil
}

// Follower returns how far the counting of calls is behind the log of calls. Its progress is when
// calls were counted last, now when nothing is left to count, and the zero time when none ever
// were.
func (s *Store) Follower(ctx context.Context, events *eventstore.Store, now time.Time) (eventstore.Follower, error) {
	head, err := events.CallHead(ctx)
	if err != nil {
		return eventstore.Follower{}, err
	}
	position, at, err := s.Counted(ctx, events.Lineage().ID())
	lag := head - min(head, position)
	if lag == 0 && !at.IsZero() {
		at = now
	}
	return eventstore.Follower{Name: "usage/calls", Position: position, Head: head, Lag: lag, Progress: at}, err
}

// add counts a call, unless it is counted already.
func (b *book) add(ctx context.Context, of domain.Ref, position uint64, call domain.IntegrationInvoked) error {
	at := call.At.UTC()
	subject := subjectOf(of, at.Format(time.DateOnly))
	e, err := b.load(ctx, subject)
	if err != nil || position <= e.Position {
		return err
	}
	counts, ok := e.Hours[at.Hour()]
	if !ok {
		counts = newCounts()
	}
	counts.add(call)
	e.Hours[at.Hour()], e.Position = counts, position
	if b.changed == nil {
		b.changed = map[string]bool{}
	}
	b.changed[subject] = true
	return nil
}

func (b *book) load(ctx context.Context, subject string) (*entry, error) {
	if e := b.days[subject]; e != nil {
		return e, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	msg, err := streams.LastFromLeader(ctx, b.js.Conn(), Stream, subject)
	if err != nil {
		return nil, unavailable(err)
	}
	e := &entry{day: day{Hours: map[int]Counts{}}}
	if msg != nil {
		if err := json.Unmarshal(msg.Data, &e.day); err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		e.sequence = msg.Sequence
	}
	b.days[subject] = e
	return e, nil
}

// write stores the changed days, then up to where calls are counted. After an error the
// book is of no use: another counter may have written.
func (b *book) write(ctx context.Context, to counted) error {
	for subject := range b.changed {
		e := b.days[subject]
		ack, err := b.publish(ctx, subject, e.day, jetstream.WithExpectLastSequencePerSubject(e.sequence))
		if err != nil {
			return err
		}
		e.sequence = ack.Sequence
	}
	b.changed = nil
	if len(b.days) > maxCached {
		b.days = map[string]*entry{}
	}
	return b.mark(ctx, to)
}

// mark stores up to where calls are counted. It fails when another counter has stored that,
// or has deleted all counts, in the meantime.
func (b *book) mark(ctx context.Context, to counted) error {
	ack, err := b.publish(ctx, countedSubject, to, jetstream.WithExpectLastSequencePerSubject(b.counted))
	if err == nil {
		b.counted = ack.Sequence
	}
	return err
}

func (b *book) publish(ctx context.Context, subject string, content any, on ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, on...)
	if err != nil {
		return nil, unavailable(err)
	}
	return ack, nil
}
