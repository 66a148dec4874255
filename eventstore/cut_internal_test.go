package eventstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
)

// cut is the connection of a process that ends when it has sent a number of changes, or when it would send the
// last of them. If only that one is lost, the process goes on.
type cut struct {
	net.Conn

	mu      sync.Mutex
	at      int // 0: never
	after   bool
	lost    bool
	closed  bool     // with lost: and the connection ends, and is made again
	changes []string // subjects
	unsent  []byte
	ended   chan struct{}
	isEnded bool
}

func (c *cut) Dial(network, address string) (net.Conn, error) {
	if c.Conn != nil && !c.lost {
		return nil, errors.New("the process has ended")
	}
	var err error
	c.Conn, err = net.Dial(network, address)
	return c, err
}

// SkipTLSHandshake leaves the connection as it is.
func (c *cut) SkipTLSHandshake() bool { return true }

func (c *cut) Write(data []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsent = append(c.unsent, data...)
	for {
		message, subject := nextMessage(c.unsent)
		if message == 0 || c.isEnded {
			return len(data), nil
		}
		ends := false
		if c.at > 0 && changesSomething(subject) {
			c.changes = append(c.changes, subject)
			ends = len(c.changes) == c.at
		}
		if !ends || c.after {
			if _, err := c.Conn.Write(c.unsent[:message]); err != nil {
				return 0, err
			}
		}
		if ends {
			close(c.ended)
		}
		if ends && c.closed {
			c.unsent = nil
			return len(data), c.Conn.Close()
		}
		if ends && !c.lost {
			c.isEnded = true
			return len(data), c.Conn.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // of a test, on loopback
		}
		c.unsent = c.unsent[message:]
	}
}

// nextMessage returns the length of the first message that a client sends, 0 if it is not complete, and its subject.
func nextMessage(data []byte) (length int, subject string) {
	line := bytes.Index(data, []byte("\r\n"))
	if line < 0 {
		return 0, ""
	}
	length = line + 2
	fields := strings.Fields(string(data[:line]))
	if verb := fields[0]; verb != "PUB" && verb != "HPUB" {
		return length, ""
	}
	size, _ := strconv.Atoi(fields[len(fields)-1])
	if length += size + 2; length > len(data) {
		return 0, ""
	}
	return length, fields[1]
}

func changesSomething(subject string) bool {
	for _, prefix := range []string{"$KV.", "$JS.API.STREAM.UPDATE.", "$JS.API.STREAM.CREATE.", "$JS.API.STREAM.DELETE."} {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}

func connectBy(t *testing.T, address string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, options...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// guard has a service look after a log.
func guard(t *testing.T, s *Store) {
	t.Helper()
	g := &Guard{Store: s, Save: func(Mark) error { return nil }, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// endedAt runs a Prune in a process that ends at a change, and returns a store of a service, which was there or starts then.
// It returns nil when there were fewer changes.
func endedAt(t *testing.T, at int, after, restarted bool) (*Store, *cut) {
	t.Helper()
	address := natstest.Listen(t)
	s := openStore(t, connectBy(t, address), 1)
	archived := appendNumbers(t, s, "crm", 20)
	token, err := s.own(t.Context()) // so that there is a token to take away
	require.NoError(t, err)
	require.NoError(t, s.unlimit(t.Context(), token))
	c := &cut{ended: make(chan struct{})}
	pruning := openStore(t, connectBy(t, address, nats.SetCustomDialer(c), nats.NoReconnect()), 1)
	if !restarted {
		guard(t, s)
	}
	c.mu.Lock()
	c.at, c.after = at, after
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		select {
		case <-c.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err = pruning.Prune(ctx, Pruning{
		Keep: 5, Events: &Retention{}, Archived: archived, step: 7, Progress: func(uint64, uint64) {},
		Sign: func(*Positions) (string, error) { return "signed", nil },
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isEnded {
		require.NoError(t, err)
		return nil, c
	}
	if restarted {
		s = openStore(t, connectBy(t, address), 1)
		guard(t, s)
	}
	return s, c
}

// Whatever the last thing was that a Prune has done, a service accepts changes again soon, and another one can follow.
func TestALogAcceptsEventsAgainWhereverAPruneEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	type ending struct {
		*Store

		name  string
		since time.Time
	}
	var all []ending
	for _, restarted := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for at := 1; ; at++ {
				s, c := endedAt(t, at, after, restarted)
				if s == nil {
					require.Greater(t, at, 8, "changes of a Prune: %v", c.changes)
					break
				}
				name := "before "
				if after {
					name = "after "
				}
				name += strconv.Itoa(at) + " " + c.changes[at-1]
				if restarted {
					name += ", the service starts"
				}
				all = append(all, ending{s, name, time.Now()})
			}
		}
	}
	for _, e := range all { // all of them wait at once
		last := uint64(20)
		require.Eventually(t, func() bool {
			position, err := appendNumber(t.Context(), e.Store, "crm", last, 21)
			last = max(last, position)
			return err == nil
		}, time.Minute, 10*time.Millisecond, e.name)
		t.Logf("%s: within %s", e.name, time.Since(e.since).Round(time.Millisecond))
		removed := pruneUntil(t, e.Store, Pruning{Keep: 5, Archived: last, Progress: func(uint64, uint64) {}})
		require.Equal(t, uint64(16), removed.Count(), e.name)
		complete(t, e.Store, removed, []uint64{last})
	}
}

// A server that is killed does not answer a request, and who takes back the limits asks again.
func TestALogAcceptsEventsAgainWhenARequestForThatIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	all := map[string]*Store{}
	for at, request := range []string{"limits.owners", "STREAM.UPDATE", "STREAM.CREATE.PRUNE_VOID", "STREAM.UPDATE"} {
		address := natstest.Listen(t)
		s := openStore(t, connectBy(t, address), 1)
		appendNumbers(t, s, "crm", 20)
		c := &cut{lost: true, ended: make(chan struct{})}
		guarding := openStore(t, connectBy(t, address, nats.SetCustomDialer(c)), 1)
		_, err := s.own(t.Context())
		require.NoError(t, err)
		c.mu.Lock()
		c.at = at + 2 // after the one that finds out whether it may
		c.mu.Unlock()
		guard(t, guarding)
		<-c.ended
		c.mu.Lock()
		require.Contains(t, c.changes[at+1], request)
		c.mu.Unlock()
		all[strconv.Itoa(at+2)+" "+request] = s
	}
	for name, s := range all {
		require.Eventually(t, func() bool {
			_, err := appendNumber(t.Context(), s, "crm", 20, 21)
			return err == nil
		}, removeWait-5*time.Second, 10*time.Millisecond, name)
	}
}

func TestAPruneAwaitsNoAnswerFromBeforeItsConnectionWasMadeAgain(t *testing.T) {
	address := natstest.Listen(t)
	s := openStore(t, connectBy(t, address), 1)
	archived := appendNumbers(t, s, "crm", 20)
	c := &cut{lost: true, closed: true, ended: make(chan struct{})} // when it limits the events of a subject
	nc := connectBy(t, address, nats.SetCustomDialer(c), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	pruning := openStore(t, nc, 1)
	c.mu.Lock()
	c.at = 7 // when it limits the events of a subject
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), removeWait/2)
	defer cancel()
	_, err := pruning.Prune(ctx, Pruning{
		Keep: 5, Events: &Retention{}, Archived: archived, Progress: func(uint64, uint64) {},
		Sign: func(*Positions) (string, error) { return "signed", nil },
	})
	require.ErrorIs(t, err, errNotConfigured)
	require.NoError(t, ctx.Err())
	require.Contains(t, c.changes[6], "STREAM.UPDATE")
	_, err = appendNumber(t.Context(), s, "crm", archived, 21)
	require.NoError(t, err)
}

// After a NATS server was killed, events may be there again that were removed shortly before. A Prune that has read the log
// before that removes them too, and does not wait until as many are left as if they were not there.
func TestEventsThatAreThereAgainAreRemovedAgain(t *testing.T) {
	s := openStore(t, natstest.Connect(t), 1)
	last := appendNumbers(t, s, "crm", 20)
	before, read := &Positions{}, &Retention{}
	for batch, err := range s.Messages(t.Context(), logName, ">", 0, last) {
		require.NoError(t, err)
		for _, m := range batch {
			if m.Position <= 5 {
				before.Add(m.Position)
			} else {
				read.Add(m.Subject, m.Position)
			}
		}
	}
	require.NoError(t, s.saveRemoved(t.Context(), before, "signed"))
	ctx, cancel := context.WithTimeout(t.Context(), pruneSettle/2)
	defer cancel()
	removed, err := s.Prune(ctx, Pruning{
		Keep: 5, Events: read, Archived: last, Progress: func(uint64, uint64) {},
		Sign: func(*Positions) (string, error) { return "signed", nil },
	})
	require.NoError(t, err)
	require.Equal(t, uint64(15), removed.Count())
	complete(t, s, removed, []uint64{last})
}
