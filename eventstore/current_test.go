package eventstore_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// others is what the server of a store knows of the connections of other programs.
type others struct {
	accepted atomic.Uint64
	open     atomic.Bool
}

func (o *others) state() (uint64, bool, <-chan struct{}) {
	return o.accepted.Load(), !o.open.Load(), nil
}

// openAlone returns a store whose server knows its connections.
func openAlone(t *testing.T, nc *nats.Conn) (*eventstore.Store, *others) {
	t.Helper()
	known := &others{}
	s, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable, Others: known.state})
	require.NoError(t, err)
	return s, known
}

// changed returns the event that gives the integration of these tests a version.
func changed(version uint64) domain.IntegrationCreated {
	return domain.IntegrationCreated{Integration: crm(version)}
}

func current(t *testing.T, s *eventstore.Store) uint64 {
	t.Helper()
	c, err := s.Current(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	return c.Position
}

func TestTheCurrentEventIsThatOfAnyProgram(t *testing.T) {
	nc := natstest.Connect(t)
	s, known := openAlone(t, nc)
	other := open(t, nc)
	require.Zero(t, current(t, s), "there is none")
	first := appendTo(t, s, 0, changed(1), "1")
	require.Equal(t, first, current(t, s))

	known.accepted.Add(1)
	known.open.Store(true)
	second := appendTo(t, other, first, changed(2), "2")
	require.Equal(t, second, current(t, s), "while it is connected")
	third := appendTo(t, other, second, changed(3), "3")
	require.Equal(t, third, current(t, s))
	known.open.Store(false)
	require.Equal(t, third, current(t, s), "after it was connected")

	known.accepted.Add(1) // it came and went unnoticed
	fourth := appendTo(t, other, third, changed(4), "4")
	require.Equal(t, fourth, current(t, s))
	fifth := appendTo(t, s, fourth, changed(5), "5")
	require.Equal(t, fifth, current(t, s))
}

// Else it would ask the server for each call.
func TestTheCurrentEventIsInMemoryWhileNobodyElseIsConnected(t *testing.T) {
	nc := natstest.Connect(t)
	s, _ := openAlone(t, nc)
	first := appendTo(t, s, 0, changed(1), "1")
	again, _ := openAlone(t, nc)
	require.Equal(t, first, current(t, again), "it is loaded once")
	requests := nc.Stats().OutMsgs
	for range 10 {
		require.Equal(t, first, current(t, s))
		require.Equal(t, first, current(t, again))
	}
	require.Equal(t, requests, nc.Stats().OutMsgs)
}

// What another program sent without waiting for an answer may be stored after its connection has
// ended. Nobody who was shown it may be shown less afterwards.
func TestAnEventThatWasReadIsTheCurrentOne(t *testing.T) {
	nc := natstest.Connect(t)
	other := open(t, nc)
	appendTo(t, other, 0, changed(1), "created")
	for name, read := range map[string]func(*testing.T, *eventstore.Store, uint64){
		"a page": func(t *testing.T, s *eventstore.Store, after uint64) {
			page, _, err := s.Page(t.Context(), eventstore.Selection{}, after, 10)
			require.NoError(t, err)
			require.NotEmpty(t, page)
		},
		"its history": func(t *testing.T, s *eventstore.Store, after uint64) {
			c, err := s.Next(t.Context(), "acme", crm(1).ID, after)
			require.NoError(t, err)
			require.NotZero(t, c)
		},
		"the tail of the log": func(t *testing.T, s *eventstore.Store, after uint64) {
			for _, err := range s.After(t.Context(), after) {
				require.NoError(t, err)
				break
			}
		},
		"the stored message": func(t *testing.T, s *eventstore.Store, after uint64) {
			_, found, err := s.MessageFrom(t.Context(), eventstore.StreamOfIntegrations, after+1)
			require.NoError(t, err)
			require.True(t, found)
		},
		"stored messages": func(t *testing.T, s *eventstore.Store, after uint64) {
			for _, err := range s.Messages(t.Context(), eventstore.StreamOfIntegrations, ">", after, after+1) {
				require.NoError(t, err)
			}
		},
		"the last event": func(t *testing.T, s *eventstore.Store, after uint64) {
			c, err := s.Load(t.Context(), "acme", crm(1).ID)
			require.NoError(t, err)
			require.Equal(t, after+1, c.Position)
		},
		"the last event of the leader": func(t *testing.T, s *eventstore.Store, after uint64) {
			c, err := s.LoadFromLeader(t.Context(), "acme", crm(1).ID)
			require.NoError(t, err)
			require.Equal(t, after+1, c.Position)
		},
		"its history from the leader": func(t *testing.T, s *eventstore.Store, after uint64) {
			c, err := s.NextFromLeader(t.Context(), "acme", crm(1).ID, after)
			require.NoError(t, err)
			require.NotZero(t, c)
		},
		"the latest of all": func(t *testing.T, s *eventstore.Store, _ uint64) {
			latest, err := s.Latest(t.Context())
			require.NoError(t, err)
			for _, err := range latest.Commits {
				require.NoError(t, err)
			}
		},
		"a page from the end": func(t *testing.T, s *eventstore.Store, _ uint64) {
			page, _, err := s.PageBefore(t.Context(), eventstore.Selection{}, 0, 1)
			require.NoError(t, err)
			require.NotEmpty(t, page)
		},
		"a replay": func(t *testing.T, s *eventstore.Store, after uint64) {
			for _, err := range s.Replay(t.Context(), eventstore.Replay{After: after}) {
				require.NoError(t, err)
			}
		},
		"a dead letter": func(t *testing.T, s *eventstore.Store, after uint64) {
			require.NoError(t, s.DeadLetter(t.Context(), "acme", crm(1).ID, after+1, "unreadable"))
		},
		"a change that it refuses": func(t *testing.T, s *eventstore.Store, after uint64) {
			_, err := s.Append(t.Context(), "acme", crm(1).ID, after, changed(9), meta("refused"))
			require.ErrorIs(t, err, eventstore.ErrConflict)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := openAlone(t, nc)
			before := current(t, s)
			after := appendTo(t, other, before, changed(before+1), name)
			require.Equal(t, before, current(t, s), "nobody has seen it")
			read(t, s, before)
			require.Equal(t, after, current(t, s))
		})
		t.Run(name+", while the integration is being loaded", func(t *testing.T) {
			s, _ := openAlone(t, nc)
			before, err := s.Head(t.Context())
			require.NoError(t, err)
			finish, err := s.LateLoad(t.Context(), "acme", crm(1).ID)
			require.NoError(t, err)
			after := appendTo(t, other, before, changed(before+1), name+" late")
			read(t, s, before)
			finish()
			require.Equal(t, after, current(t, s))
		})
	}
}

func TestAnAcknowledgedAppendIsCurrentAtOnce(t *testing.T) {
	s, _ := openAlone(t, natstest.Connect(t))
	const writers, appends = 24, 15 // so that they are sent in batches too
	var working sync.WaitGroup
	var highest atomic.Uint64
	done := make(chan struct{})
	shown := func() bool {
		acknowledged := highest.Load()
		c, err := s.Current(t.Context(), "acme", crm(1).ID)
		return err == nil && c.Position >= acknowledged
	}
	for writer := range writers {
		working.Go(func() {
			others := named(string(rune('a'+writer)), appends)
			for n := range appends {
				appendMany(t.Context(), s, others[n:n+1], nothing)
				c, err := s.Current(t.Context(), "acme", crm(1).ID)
				if err != nil {
					t.Error(err)
					return
				}
				position, err := s.Append(t.Context(), "acme", crm(1).ID, c.Position, changed(c.Position+1), meta(others[n]))
				if err != nil {
					continue // another one was first
				}
				for at := highest.Load(); at < position && !highest.CompareAndSwap(at, position); at = highest.Load() {
				}
				if !shown() {
					t.Error("an earlier event is shown after an append was acknowledged")
				}
			}
		})
	}
	go func() {
		defer close(done)
		working.Wait()
	}()
	for {
		select {
		case <-done:
			require.NotZero(t, highest.Load())
			return
		default:
			require.True(t, shown())
		}
	}
}
