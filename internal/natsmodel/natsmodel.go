// Package natsmodel is a model of a NATS server with JetStream, in memory: the part that
// this service uses, over the protocol of NATS, so that the clients of others talk to it
// unchanged.
//
// Its promise: it does what JetStream does, and in a run that asks for it, whatever
// JetStream doesn't promise not to do: answers are late, lost or from a follower that is
// behind, connections end, a stream has no leader for a while, the server restarts. All of
// it happens in an order that its network decides. One suite holds it to the real server.
package natsmodel

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config configures a server.
type Config struct {
	// Settled returns once nothing else can happen at this moment, such as
	// synctest.Wait. The server acts only then, so that it sees what was sent at one
	// moment in one order. Default: nothing is waited for.
	Settled func()

	Network Network // default: no message is late or lost
}

// Server is a running server.
type Server struct {
	config Config
	cancel context.CancelFunc
	ended  chan struct{}
	wake   chan struct{} // there is something in arrived, or an earlier event

	mu      sync.Mutex
	arrived []arrival
	conns   map[uint64]*conn
	nextID  uint64
	refused map[string]time.Time // clients that can't connect, until when
	down    time.Time            // nobody can connect until then
	agenda  agenda
	closing bool
	epoch   uint64 // of the server, which ends with Restart

	state   sync.Mutex // of what follows
	streams map[string]*stream
	lanes   map[string]time.Time // when the last message of each lane is handled
}

// arrival is what a client sent.
type arrival struct {
	from *conn
	operation
}

// Start returns a server that runs until Close.
func Start(c Config) *Server {
	if c.Settled == nil {
		c.Settled = func() {}
	}
	if c.Network == nil {
		c.Network = calm{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		config: c, cancel: cancel, ended: make(chan struct{}), wake: make(chan struct{}, 1), conns: map[uint64]*conn{},
		refused: map[string]time.Time{}, streams: map[string]*stream{}, lanes: map[string]time.Time{},
	}
	s.agenda.taken = map[int64]bool{}
	go s.run(ctx)
	return s
}

// Close ends the server and every connection.
func (s *Server) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.cancel()
	<-s.ended
	s.sever("")
}

// signal wakes run.
func (s *Server) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// createConsumer is the start of the subject of requests that create a consumer. They are
// answered at once, and nothing happens to them: nats.go holds a lock until it has the
// answer, and virtual time stands still while another goroutine waits for a lock.
const createConsumer = "$JS.API.CONSUMER.CREATE."

// receive adds what a client sent.
func (s *Server) receive(c *conn, o operation) {
	if o.message != nil && strings.HasPrefix(o.message.subject, createConsumer) {
		s.state.Lock()
		defer s.state.Unlock()
		s.handle(c, *o.message)
		return
	}
	if o.message == nil {
		s.state.Lock()
		defer s.state.Unlock()
		c.control(o)
		return
	}
	s.mu.Lock()
	s.arrived = append(s.arrived, arrival{c, o})
	s.mu.Unlock()
	s.signal()
}

// At calls do at a moment, in the goroutine of the server. Two calls never share a moment.
func (s *Server) At(when time.Time, do func()) {
	s.mu.Lock()
	s.agenda.add(when, do)
	s.mu.Unlock()
	s.signal()
}

// whileUp is At for what is lost when the server restarts before.
func (s *Server) whileUp(when time.Time, do func()) {
	epoch := s.epoch
	s.At(when, func() {
		if s.epoch == epoch {
			do()
		}
	})
}

// after is At in a while.
func (s *Server) after(d time.Duration, do func()) { s.At(time.Now().Add(d), do) }

// run does what is due, one thing at a time, until ctx ends.
func (s *Server) run(ctx context.Context) {
	defer close(s.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.config.Settled()
		s.state.Lock()
		s.accept()
		s.state.Unlock()
		now := time.Now()
		s.mu.Lock()
		do, next, any := s.agenda.due(now)
		s.mu.Unlock()
		if do != nil {
			s.state.Lock()
			do()
			s.state.Unlock()
			continue
		}
		wait := time.Hour
		if any {
			wait = next.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// accept decides when to handle what has arrived. What clients sent at the same moment is
// taken in the order of their connections, and of where it goes.
func (s *Server) accept() {
	s.mu.Lock()
	arrived := s.arrived
	s.arrived = nil
	s.mu.Unlock()
	slices.SortStableFunc(arrived, func(a, b arrival) int {
		if a.from != b.from {
			return cmp.Compare(a.from.id, b.from.id)
		}
		if order := strings.Compare(s.lane(a.message.subject), s.lane(b.message.subject)); order != 0 {
			return order
		}
		return strings.Compare(a.message.order(), b.message.order())
	})
	for _, a := range arrived {
		s.schedule(a.from, *a.message)
	}
}

// lane returns where a message goes: those of one client in one lane stay in order.
func (s *Server) lane(subject string) string {
	if st := s.storing(subject); st != nil {
		return st.config.Name
	}
	return Canonical(subject)
}

// order returns where a message is among others of one client and moment. Only those of a
// batch are sent without waiting for an answer; they stay as they are.
func (m message) order() string {
	if bytes.Contains(m.header, []byte("Nats-Batch-Id")) {
		return ""
	}
	return m.subject
}

// schedule handles a message of a client when it has arrived, unless it is lost.
func (s *Server) schedule(from *conn, m message) {
	subject := Canonical(m.subject)
	fate := s.config.Network.Request(from.name, subject)
	if fate.Lost {
		return
	}
	when := time.Now().Add(fate.After)
	if s.storing(m.subject) != nil { // a stream stores what one client sends in order
		lane := fmt.Sprint(from.id, " ", s.lane(m.subject))
		if last := s.lanes[lane]; when.Before(last) {
			when = last
		}
		s.lanes[lane] = when
	}
	s.whileUp(when, func() { s.handle(from, m) })
}

// handle does what a message asks for.
func (s *Server) handle(from *conn, m message) {
	re := request{server: s, from: from, subject: Canonical(m.subject), reply: m.reply}
	switch {
	case strings.HasPrefix(m.subject, "$JS.API."):
		s.api(re, m)
	case strings.HasPrefix(m.subject, "$JS."): // acknowledgements and flow control
	default:
		if st := s.storing(m.subject); st != nil {
			st.publish(re, m)
			return
		}
		if s.interest(m.subject) {
			s.deliver(m.subject, m)
			return
		}
		re.noResponders()
	}
}

// storing returns the stream that stores what is sent to a subject, nil if there is none.
func (s *Server) storing(subject string) *stream {
	for _, st := range s.streams {
		if st.stores(subject) {
			return st
		}
	}
	return nil
}

// interest reports whether a client subscribes to a subject.
func (s *Server) interest(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		if c.subscribes(subject) {
			return true
		}
	}
	return false
}

// deliver sends a message to the subscribers of a subject.
func (s *Server) deliver(to string, m message) {
	s.mu.Lock()
	var all []*conn
	for _, c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	sortConns(all)
	for _, c := range all {
		for _, sid := range c.take(to) {
			c.send(m.frame(sid))
		}
	}
}

// request is a message that may be answered.
type request struct {
	server  *Server
	from    *conn
	subject string // without what is random
	reply   string // "": nobody waits
}

// answer sends a message to the requester.
func (re request) answer(header string, data []byte) {
	re.answers([]message{{header: []byte(header), data: data}})
}

// answers sends messages, in their order.
func (re request) answers(all []message) {
	if re.reply == "" {
		return
	}
	if strings.HasPrefix(re.subject, createConsumer) {
		for _, m := range all {
			m.subject = re.reply
			re.server.deliver(re.reply, m)
		}
		return
	}
	fate := re.server.config.Network.Reply(re.from.name, re.subject)
	if fate.Lost {
		return
	}
	for _, m := range all {
		m.subject = re.reply
		re.server.whileUp(time.Now().Add(fate.After), func() {
			re.server.deliver(re.reply, m)
		})
	}
}

func (re request) noResponders() { re.answer("NATS/1.0 503\r\n\r\n", nil) }
