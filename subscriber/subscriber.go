// Package subscriber delivers the events of integrations to another program, typed and
// in order.
//
// Its one promise: every event is handled, the events of one integration in order and
// never two at once. An event is handled again when the program ends before its
// position is stored, so a handler must be idempotent; a program that stores the
// position with its own data handles each event once.
package subscriber

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
)

// Config configures a Subscriber. Its zero value reads every event from the start of
// the log and stores no position.
type Config struct {
	// Name is the name under which the position is stored in NATS, for each topic: at
	// most 64 letters, digits, hyphens and underscores. Of the programs with the same
	// name one reads, and another takes over when it ends. Default: empty, no position
	// is stored.
	Name string

	// After is the position to start after when no position is stored. Default: 0, the
	// start of the log.
	After uint64

	// LogID is the identity of the log of After, as Subscriber.LogID returned it.
	// Default: empty, the log as it was created.
	LogID string

	// FromNow starts with new events when no position is stored, and ignores After.
	// Default: false.
	FromNow bool

	// Concurrency is the number of integrations whose events are handled at once. With
	// 1, all events are handled in the order of the log. Default: 8.
	Concurrency int

	// Pause is how long to wait after a failure before the next attempt.
	Pause Pause

	// Log receives a warning for each failure. Default: slog.Default().
	Log *slog.Logger
}

// Pause is an exponential backoff.
type Pause struct {
	// First is the pause after the first failure; it doubles with each further one.
	// Default: 100 ms.
	First time.Duration

	// Longest bounds the pause. Default: 30 s.
	Longest time.Duration
}

// backoff returns a new sequence of pauses.
func (p Pause) backoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = p.First, p.Longest, 2, 0
	b.Reset()
	return b
}

// Subscriber reads events. It implements the interface message.Subscriber of Watermill.
type Subscriber struct {
	events *eventstore.Store
	config Config

	ended context.Context //nolint:containedctx // Close, which Watermill requires, ends the subscriptions
	end   context.CancelFunc
	open  sync.WaitGroup // the subscriptions
}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)

// Open returns a subscriber to an existing log. It returns an error when the name in c
// is invalid, or when NATS or the log can't be reached.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Subscriber, error) {
	events, err := eventstore.Attach(ctx, nc, 0)
	if err != nil {
		return nil, err
	}
	return New(events, c)
}

// New returns a subscriber to an event store of this module.
func New(events *eventstore.Store, c Config) (*Subscriber, error) {
	if !nameSyntax.MatchString(c.Name) {
		return nil, fmt.Errorf("name %q of a subscriber: it must be at most 64 letters, digits, hyphens and underscores", c.Name)
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if c.Pause.First <= 0 {
		c.Pause.First = 100 * time.Millisecond
	}
	if c.Pause.Longest <= 0 {
		c.Pause.Longest = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &Subscriber{events: events, config: c}
	s.ended, s.end = context.WithCancel(context.Background())
	return s, nil
}

// ErrOtherLog reports that a position is of another log: the log was restored from a
// backup, or its operator accepted the loss of events.
var ErrOtherLog = eventstore.ErrOtherLog

// LogID returns the identity of the log. A program that stores positions itself stores
// it as well, and sets both as Config.After and Config.LogID.
func (s *Subscriber) LogID() string { return s.events.Lineage().ID() }

// Run calls handle for each event of a topic until ctx ends, and then returns nil. An
// event whose handler fails is handled again after a pause, without a limit of
// attempts; later events of the same integration wait, those of others don't. An event
// that can't be read has its Err set.
//
// Without a name, Run returns ErrOtherLog when Config.After, or an event that was
// handled since, is of another log. With a name it continues where both logs are the
// same. It returns an error at once for an invalid topic.
func (s *Subscriber) Run(ctx context.Context, topic Topic, handle func(context.Context, Event) error) error {
	from, err := s.source(topic)
	if err != nil {
		return err
	}
	return s.deliver(ctx, from, handle)
}
