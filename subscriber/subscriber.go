// Package subscriber delivers the events of integrations to another program, typed and in
// order.
//
// Every event is handled, and the events of one integration in order and one at a time. An
// event is handled again if the program ended before its position was saved, so handlers must
// be idempotent; a program that stores the position with its own data sees each event once.
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

// Config configures how events are read. The zero value reads every event from the beginning
// and saves no position.
type Config struct {
	// Name names the position that is saved in NATS for each topic: letters, digits, hyphens
	// and underscores. Of all programs with one name, one reads; another takes over when it
	// ends. Default: no position is saved.
	Name string

	After   uint64       // the position to start after when none is saved. Default: the beginning
	OfLog   string       // the identity of the log of After, from LogID. Default: the first log
	FromNow bool         // start with new events when no position is saved
	AtOnce  int          // how many integrations are handled concurrently; default 8. With 1 all events are in log order
	Pause   Pause        // between two tries of an event
	Log     *slog.Logger // default slog.Default()
}

// Pause configures the pause after a failure.
type Pause struct {
	First, Longest time.Duration // doubles each time; default 100 ms and 30 s
}

// Event is an event of an integration.
type Event = eventstore.Commit

// Changes is the topic of the changes to the integrations of a workspace:
// domain.IntegrationCreated, IntegrationUpdated and IntegrationDeleted. An empty workspace
// means all of them.
func Changes(w domain.Workspace) string { return topic("integrations", w) }

// Probes is the topic of the probe results of a workspace: domain.IntegrationProbed. An empty
// workspace means all of them.
func Probes(w domain.Workspace) string { return topic("probes", w) }

func topic(of string, w domain.Workspace) string {
	if w == "" {
		w = "*"
	}
	return of + "." + string(w) + ".*"
}

// Subscriber reads events for one program. It is also a Watermill Subscriber.
type Subscriber struct {
	events *eventstore.Store
	config Config

	ended context.Context //nolint:containedctx // Close, required by Watermill, ends the subscriptions
	end   context.CancelFunc
	open  sync.WaitGroup // the subscriptions
}

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)

// Open returns a subscriber on an existing log.
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
		return nil, fmt.Errorf("the subscriber name %q is not 1 to 64 letters, digits, hyphens and underscores", c.Name)
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

// ErrOtherLog means that a position is of another log: the log was restored from a backup, or
// its operator accepted a loss of events.
var ErrOtherLog = eventstore.ErrOtherLog

// LogID returns the identity of the present log. A program that stores the position itself
// stores the identity too, and passes both as After and OfLog.
func (s *Subscriber) LogID() string { return s.events.Lineage().ID() }

// Run calls handle for each event of a topic until ctx ends, and returns nil then. Without a
// Name it returns ErrOtherLog when After, or an event handled since, is of another log; with a
// Name it continues from the last common position. An event whose handler fails is handled
// again after a pause, until it succeeds; later events of its integration wait for it, those
// of others don't. An unreadable event has its Err set.
func (s *Subscriber) Run(ctx context.Context, topic string, handle func(context.Context, Event) error) error {
	from, err := s.source(topic)
	if err != nil {
		return err
	}
	return s.deliver(ctx, from, handle)
}

// source is what a topic refers to.
type source struct {
	key   string // of the saved position
	head  func(context.Context) (uint64, error)
	after func(context.Context, uint64) iter.Seq2[[]Event, error]
	// Locates a position of another log in this one.
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
	return source{}, fmt.Errorf("the topic %q is not integrations or probes, a workspace and an integration, separated by dots, where * means all", topic)
}
