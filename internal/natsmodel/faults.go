package natsmodel

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cut ends the connections of a client, which can't connect again for a while. What it had
// sent may still be handled; what was on its way back is lost.
func (s *Server) Cut(client string, lasting time.Duration) {
	s.mu.Lock()
	s.refused[client] = time.Now().Add(lasting)
	s.mu.Unlock()
	s.sever(client)
}

// Restart ends the server as a power cut does, and starts it again in a while: consumers,
// batches that are not committed, and what was on its way are lost, and so is the end of
// streams that are written to disk later than they are acknowledged.
func (s *Server) Restart(lasting time.Duration) {
	s.mu.Lock()
	s.down = time.Now().Add(lasting)
	s.arrived = nil
	s.epoch++
	s.mu.Unlock()
	s.sever("")
	for _, st := range s.streams {
		for _, c := range st.consumers {
			c.deleted = true
		}
		clear(st.consumers)
		clear(st.batches)
		if st.config.PersistMode == jetstream.AsyncPersistMode {
			st.loseEnd(time.Now().Add(-unsynced))
		}
	}
}

// unsynced is how late a stream is written to disk that is written asynchronously.
const unsynced = time.Second

// loseEnd loses what was stored after a moment.
func (st *stream) loseEnd(after time.Time) {
	lost := func(m *stored) bool { return m.at.After(after) }
	st.messages = slices.DeleteFunc(st.messages, lost)
	for subject, all := range st.subjects {
		st.subjects[subject] = slices.DeleteFunc(all, lost)
	}
	for id, first := range st.ids {
		if first.at.After(after) {
			delete(st.ids, id)
		}
	}
	st.last = 0
	if n := len(st.messages); n > 0 {
		st.last = st.messages[n-1].sequence
	}
}

// Lag makes some replicas of a stream stay as they are for a while, of all streams when the
// name is empty.
func (s *Server) Lag(name string, lasting time.Duration) {
	for _, st := range s.streams {
		if st.config.Replicas > 1 && (name == "" || name == st.config.Name) && !time.Now().Before(st.laggingTo) {
			st.laggingAt, st.laggingTo = time.Now(), time.Now().Add(lasting)
			s.At(st.laggingTo, st.pump)
		}
	}
}

// Leaderless takes the leader of a stream away for a while, those of all when the name is empty.
func (s *Server) Leaderless(name string, lasting time.Duration) {
	for _, st := range s.streams {
		if name == "" || name == st.config.Name {
			st.leaderless = time.Now().Add(lasting)
			s.At(st.leaderless, st.pump)
		}
	}
}

// Heal ends all faults.
func (s *Server) Heal() {
	now := time.Now()
	s.mu.Lock()
	s.down = now
	s.mu.Unlock()
	for _, st := range s.streams {
		st.laggingTo, st.leaderless = now, now
		st.pump()
	}
}

// Message is a message of a stream.
type Message struct {
	Sequence uint64
	Subject  string
	Header   nats.Header
	Data     []byte
	At       time.Time
}

// Messages returns what a stream has, as its leader has it.
func (s *Server) Messages(stream string) []Message {
	var all []Message
	read := make(chan struct{})
	s.At(time.Now(), func() {
		defer close(read)
		st := s.streams[stream]
		if st == nil {
			return
		}
		for m := st.next(1, "", time.Now()); m != nil; m = st.next(m.sequence+1, "", time.Now()) {
			all = append(all, Message{m.sequence, m.subject, headerOf(m.header), m.data, m.at})
		}
	})
	<-read
	return all
}
