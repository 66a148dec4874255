// Package subscriber hands the events of integrations to another program, typed
// and in order.
//
// Its one promise: every event is handled, the events of one integration in
// their order and never two at once. An event is handled again when the program
// ended before its position was kept, so handling has to bear a repetition; a
// program that keeps the position with its own data sees each event once.
package subscriber

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Config says how events are read. Its zero value reads every event from the
// beginning and keeps no position.
type Config struct {
	// Name names the position that is kept in NATS for each topic: letters,
	// digits, hyphens and underscores. Of all programs with one name, one reads;
	// another takes over when it ends. Default: no position is kept.
	Name string

	After   uint64       // where to start when no position is kept: after this one. Default: the beginning
	OfLog   string       // the identity of the log that After is of, as LogID returned it. Default: the first that there was
	FromNow bool         // start with the events to come, when no position is kept
	AtOnce  int          // how many integrations are handled at once; default 8. With 1 all is in the order of the log
	Pause   Pause        // between one try of an event and the next
	Log     *slog.Logger // default slog.Default()
}

// Pause says how long to wait after a failure.
type Pause struct {
	First, Longest time.Duration // twice as long each time; default 100 ms and 30 s
}

// Event is what happened to an integration.
type Event = eventstore.Commit

// Changes is the topic of what is done to the integrations of a workspace:
// domain.IntegrationCreated, IntegrationUpdated and IntegrationDeleted. An empty
// workspace is all of them.
func Changes(w domain.Workspace) string { return topic("integrations", w) }

// Probes is the topic of what probes saw in a workspace:
// domain.IntegrationProbed. An empty workspace is all of them.
func Probes(w domain.Workspace) string { return topic("probes", w) }

func topic(of string, w domain.Workspace) string {
	if w == "" {
		w = "*"
	}
	return of + "." + string(w) + ".*"
}

// Subscriber reads events for one program. It is also a Subscriber of Watermill.
type Subscriber struct {
	events *eventstore.Store
	config Config

	ended context.Context //nolint:containedctx // Close, which Watermill asks for, ends what Subscribe began
	end   context.CancelFunc
	open  sync.WaitGroup // what Subscribe began
}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)

// Open returns a subscriber on a log that is there.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Subscriber, error) {
	events, err := eventstore.Attach(ctx, nc, 0)
	if err != nil {
		return nil, err
	}
	return New(events, c)
}

// New returns a subscriber on an event store.
func New(events *eventstore.Store, c Config) (*Subscriber, error) {
	if !nameSyntax.MatchString(c.Name) {
		return nil, fmt.Errorf("the name %q of a subscriber: it is at most 64 letters, digits, hyphens and underscores", c.Name)
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 8
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

// ErrOtherLog says that a position is of another log: the log was restored from a
// backup, or lost events that its operator does without.
var ErrOtherLog = eventstore.ErrOtherLog

// LogID returns the identity of the log that is read now. A program that keeps the
// position itself keeps it as well, and gives both back as After and OfLog.
func (s *Subscriber) LogID() string { return s.events.Lineage().ID() }

// Run calls handle for each event of a topic until ctx ends, and returns nil
// then. Without a Name it returns ErrOtherLog when After, or what was handled since,
// is of another log; with one it goes on where both logs are the same. An event whose handling fails is handled again after a pause, for as
// long as it fails; later events of its integration wait for it, those of others
// do not. An event that can't be read is handed over with its Err set.
func (s *Subscriber) Run(ctx context.Context, topic string, handle func(context.Context, Event) error) error {
	from, err := s.source(topic)
	if err != nil {
		return err
	}
	return s.deliver(ctx, from, handle)
}

// source is what a topic names.
type source struct {
	key   string // of the position that is kept
	head  func(context.Context) (uint64, error)
	after func(context.Context, uint64) iter.Seq2[[]Event, error]
	// Where a position of another log is in this one.
	locate   func(eventstore.Lineage, string, uint64) (uint64, bool)
	position func(context.Context, string) (uint64, bool, error)
}

func (s *Subscriber) source(topic string) (source, error) {
	parts := strings.Split(topic, ".")
	var of eventstore.Selection
	ok := len(parts) == 3
	if ok && parts[1] != "*" {
		var err error
		of.Workspace, err = domain.ParseWorkspace(parts[1])
		ok = err == nil
	}
	if ok && parts[2] != "*" {
		of.ID = domain.ID(parts[2])
		ok = domain.ParseID("", parts[2]) == of.ID
	}
	if ok {
		key := s.config.Name + "." + strings.ReplaceAll(topic, "*", "_all")
		switch parts[0] {
		case "integrations":
			return source{key, s.events.Head, func(ctx context.Context, at uint64) iter.Seq2[[]Event, error] {
				return s.events.AfterIn(ctx, of, at)
			}, eventstore.Lineage.Locate, s.events.Position}, nil
		case "probes":
			return source{key, s.events.ProbeHead, func(ctx context.Context, at uint64) iter.Seq2[[]Event, error] {
				return s.events.ProbesAfterIn(ctx, of, at)
			}, eventstore.Lineage.LocateProbe, s.events.ProbePosition}, nil
		}
	}
	return source{}, fmt.Errorf("the topic %q: it is integrations or probes, a workspace and an integration, set apart by dots, where * is all", topic)
}
