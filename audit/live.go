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

// Live tells listeners what is recorded, when it is. However many they are, they
// share one reader of the log.
type Live struct {
	Log    Log
	Encode func(Entry) []byte // how an event is told; once for all listeners
	Every  time.Duration      // how often a listener is told that nothing happened; default 15 s
	Logger *slog.Logger

	mu        sync.Mutex
	at        uint64             // told up to here
	moved     time.Time          // when at moved last
	reading   bool               // the log is being read, so what comes is told
	listeners map[*listener]bool // nil before Run has begun
	ended     bool
}

// Told is what a listener is told: an event, or with none that nothing happened
// in its workspace up to a position.
type Told struct {
	Position uint64
	Event    []byte
}

// listener is one who listens. Its channel is closed when it is too slow, and
// when Run ends.
type listener struct {
	workspace domain.Workspace
	told      chan Told
	slow      bool
	from      uint64 // it knows everything up to here already
}

const (
	behind        = 256    // events that a listener may be behind
	mostListeners = 20_000 // of one process
)

// ErrSlow ends a listener that does not take what it is told. It loses nothing:
// it can listen again after the last position it was told.
var ErrSlow = errors.New("audit: the listener is too slow")

// ErrEnded ends all listeners when the service does.
var ErrEnded = errors.New("audit: the service is ending")

// Run reads the log and tells what it reads, until ctx ends; it returns nil then.
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
			l.Logger.WarnContext(ctx, "listeners are not told what happens; trying again", slog.Duration("pause", pause), slog.Any("err", err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// How long Run pauses after a failure: twice as long each time.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// begin finds out, once, where the log ends.
func (l *Live) begin(ctx context.Context) error {
	if l.listeners != nil { // which only Run changes
		return nil
	}
	head, err := l.Log.Events.Head(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.listeners = head, map[*listener]bool{}
	l.moved = time.Now() //nolint:forbidigo // for metrics
	return nil
}

// read tells what is recorded until ctx ends or reading fails.
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
	for commits, err := range l.Log.Events.After(ctx, l.position()) {
		if errors.Is(err, eventstore.ErrOtherLog) {
			l.restart(log)
		}
		if err != nil {
			return err
		}
		l.tell(commits)
	}
	return ctx.Err()
}

// restart goes on in another log than the one with an identity. Who listens may have
// heard what is not in it, and finds out when it connects again.
func (l *Live) restart(before string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, _ = l.Log.Events.Lineage().Locate(before, l.at)
	for one := range l.listeners {
		l.drop(one)
	}
}

// Standing returns the position up to which listeners were told, and when it last
// moved. Reading reports whether the log is being read.
func (l *Live) Standing() (position uint64, moved time.Time, reading bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.moved, l.reading
}

func (l *Live) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// tell hands events to those who listen to their workspaces.
func (l *Live) tell(commits []eventstore.Commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now() //nolint:forbidigo // for metrics
	for _, c := range commits {
		l.at = c.Position
		var told Told
		for one := range l.listeners {
			if one.workspace != c.Workspace {
				continue
			}
			if told.Event == nil {
				told = Told{Position: c.Position, Event: l.Encode(EntryOf(c))}
			}
			select {
			case one.told <- told:
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
		close(one.told)
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

// join begins to listen, and returns the position from which on.
func (l *Live) join(w domain.Workspace) (*listener, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return nil, 0, ErrEnded
	case l.listeners == nil:
		return nil, 0, domain.Errorf(domain.Unavailable, "events_unavailable", "events can't be told just now; try again")
	case len(l.listeners) >= mostListeners:
		return nil, 0, domain.Errorf(domain.Unavailable, "too_many_listeners", "too many are listening already; try again")
	}
	one := &listener{workspace: w, told: make(chan Told, behind)}
	l.listeners[one] = true
	return one, l.at, nil
}

func (l *Live) leave(one *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(one)
}

// idle returns the position up to which one was told everything, and whether
// nothing waits for it.
func (l *Live) idle(one *listener) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.listeners[one] && len(one.told) == 0
}
