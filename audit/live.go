package audit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Live notifies listeners of events as they are recorded. All listeners share one reader
// of the log.
type Live struct {
	Log   Log
	Calls bool // notify of calls instead of changes

	Approvals bool // notify of the events of approvals instead of changes
	Probes    bool // notify of the results of probes instead of changes

	Encode func(Entry) []byte // encodes an event, once for all listeners
	Every  time.Duration      // how often an idle listener gets its position; default 15 s
	Logger *slog.Logger

	mu        sync.Mutex
	at        uint64             // listeners were notified up to here
	moved     time.Time          // when at last changed
	reading   bool               // the log is being read
	listeners map[*listener]bool // nil before Run has started
	ended     bool
}

// A Notification is an event, or without one the position up to which nothing more
// happened in the workspace.
type Notification struct {
	Position uint64
	Event    []byte
	Entry    Entry // of the event
}

// notify returns the notification of an event.
func (l *Live) notify(c eventstore.Commit) Notification {
	e := EntryOf(c)
	return Notification{Position: c.Position, Event: l.Encode(e), Entry: e}
}

// Seen returns the notification as a scope shows it: only its position, if the event is hidden.
func (l *Live) Seen(n Notification, s domain.Scope) Notification {
	if n.Event == nil || !s.Narrow() {
		return n
	}
	e, visible := n.Entry.Seen(s)
	if !visible {
		return Notification{Position: n.Position}
	}
	return Notification{Position: n.Position, Event: l.Encode(e), Entry: e}
}

// A listener's channel is closed when the listener is too slow, and when Run ends.
type listener struct {
	workspace domain.Workspace
	events    chan Notification
	slow      bool
	from      uint64 // it already has everything up to here
}

const (
	maxBehind    = 256    // events that a listener may be behind
	maxListeners = 20_000 // of one process
)

// ErrSlow ends a listener that falls behind. It can listen again after its last position
// without losing an event.
var ErrSlow = errors.New("audit: the listener is too slow")

// ErrEnded ends all listeners when the service does.
var ErrEnded = errors.New("audit: the service is ending")

// Run reads the log and notifies the listeners until ctx ends. It returns nil.
func (l *Live) Run(ctx context.Context) error {
	defer l.end()
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		before := l.position()
		err := l.begin(ctx)
		if err == nil {
			err = l.read(ctx)
		}
		if l.position() != before {
			pause = firstPause
		}
		if ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "reading events for listeners failed; retrying", slog.Duration("pause", pause), slog.Any("err", err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// The pause after a failure doubles each time.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// begin determines the end of the log, once.
func (l *Live) begin(ctx context.Context) error {
	if l.listeners != nil { // only Run changes it
		return nil
	}
	head, err := l.head(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.listeners = head, map[*listener]bool{}
	l.moved = time.Now() //nolint:forbidigo // for metrics
	return nil
}

// read publishes new events until ctx ends or reading fails.
func (l *Live) read(ctx context.Context) error {
	log := l.Log.Events.Lineage().ID()
	l.mu.Lock()
	l.reading = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reading = false
	}()
	after := l.Log.Events.After
	if l.Calls {
		after = l.Log.Events.CallsAfter
	}
	if l.Approvals {
		after = l.Log.Events.ApprovalsAfter
	}
	if l.Probes {
		after = l.Log.Events.ProbesAfter
	}
	for commits, err := range after(ctx, l.position()) {
		if errors.Is(err, eventstore.ErrOtherLog) {
			err = errors.Join(err, l.restart(ctx, log))
		}
		if err != nil {
			return err
		}
		l.publish(commits)
	}
	return ctx.Err()
}

// restart continues in another log than the one with an identity. Listeners may have
// events that it lacks; they find out when they connect again.
func (l *Live) restart(ctx context.Context, before string) error {
	at, _ := l.Log.Events.Lineage().Locate(before, l.position())
	if l.Calls || l.Approvals || l.Probes { // the lineage keeps no positions of these
		var err error
		if at, err = l.head(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
	for one := range l.listeners {
		l.drop(one)
	}
	return nil
}

// head returns the end of the stream that is read.
func (l *Live) head(ctx context.Context) (uint64, error) {
	if l.Calls {
		return l.Log.Events.CallHead(ctx)
	}
	if l.Approvals {
		return l.Log.Events.ApprovalHead(ctx)
	}
	if l.Probes {
		return l.Log.Events.ProbeHead(ctx)
	}
	return l.Log.Events.Head(ctx)
}

// page reads the stream.
func (l *Live) page(ctx context.Context, w domain.Workspace, after uint64) ([]eventstore.Commit, bool, error) {
	if l.Probes {
		return l.Log.Events.ProbePage(ctx, eventstore.Selection{Workspace: w}, after, 200)
	}
	return Filter{Calls: l.Calls, Approvals: l.Approvals}.reader(l.Log.Events)(ctx, eventstore.Selection{Workspace: w, Authorizations: !l.Calls && !l.Approvals}, after, 200)
}

// ParsePosition is the reverse of NamePosition. It refuses, with Invalid, a position of
// another log with the code position_unknown, and anything else with position_invalid.
func (l *Live) ParsePosition(id string) (uint64, error) {
	if l.Calls || l.Approvals || l.Probes {
		return l.Log.Events.Lineage().ParseCall(id)
	}
	return l.Log.Events.Lineage().Parse(id)
}

// NamePosition returns the id of a position for listeners.
func (l *Live) NamePosition(position uint64) string { return l.Log.Events.Lineage().Name(position) }

// Progress returns the position up to which listeners were notified, and when it last
// changed. Reading reports whether the log is being read.
func (l *Live) Progress() (position uint64, moved time.Time, reading bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.moved, l.reading
}

// Listeners returns how many listeners there are.
func (l *Live) Listeners() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.listeners)
}

func (l *Live) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// publish sends events to the listeners of their workspaces.
func (l *Live) publish(commits []eventstore.Commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now() //nolint:forbidigo // for metrics
	for _, c := range commits {
		l.at = c.Position
		var note Notification
		for one := range l.listeners {
			if one.workspace != c.Workspace {
				continue
			}
			if note.Event == nil {
				note = l.notify(c)
			}
			select {
			case one.events <- note:
			default:
				one.slow = true
				l.drop(one)
			}
		}
	}
}

// drop ends a listener.
func (l *Live) drop(one *listener) {
	if l.listeners[one] {
		delete(l.listeners, one)
		close(one.events)
	}
}

func (l *Live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for one := range l.listeners {
		l.drop(one)
	}
}

// join adds a listener, and returns the position from which it listens.
func (l *Live) join(w domain.Workspace) (*listener, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return nil, 0, ErrEnded
	case l.listeners == nil:
		return nil, 0, domain.Errorf(domain.Unavailable, "events_unavailable", "live events are unavailable; try again")
	case len(l.listeners) >= maxListeners:
		return nil, 0, domain.Errorf(domain.Unavailable, "too_many_listeners", "too many listeners; try again")
	}
	one := &listener{workspace: w, events: make(chan Notification, maxBehind)}
	l.listeners[one] = true
	return one, l.at, nil
}

func (l *Live) leave(one *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(one)
}

// idle returns the position up to which a listener has everything, and whether no event
// is waiting for it.
func (l *Live) idle(one *listener) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.listeners[one] && len(one.events) == 0
}
