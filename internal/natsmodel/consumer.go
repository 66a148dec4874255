package natsmodel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// consumer is a consumer without acknowledgements, in memory: it is gone with the server.
type consumer struct {
	stream  *stream
	config  jetstream.ConsumerConfig
	created time.Time
	client  string // whose network its messages take
	number  uint64 // of the consumers of its stream

	next      uint64   // the first sequence that it has not considered
	initial   []uint64 // sequences before next that it still delivers
	delivered uint64   // how many it has
	through   uint64   // the last that it has
	pulls     []*pull
	used      time.Time // when it last was
	sent      time.Time // when its last message arrives
	deleted   bool
}

// pull is a request for messages.
type pull struct {
	request
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
	NoWait    bool          `json:"no_wait"`

	done   bool
	got    bool      // something
	active time.Time // when it last did
}

func (st *stream) createConsumer(re request, name string, m message) {
	var asked struct {
		Config jetstream.ConsumerConfig `json:"config"`
	}
	if err := json.Unmarshal(m.data, &asked); err != nil {
		re.fail(nil, &jetstream.APIError{Code: 400, ErrorCode: 10025, Description: err.Error()})
		return
	}
	if asked.Config.AckPolicy != jetstream.AckNonePolicy || asked.Config.Durable != "" {
		re.fail(nil, notModelled("a consumer that is durable, or has acknowledgements"))
		return
	}
	if c := st.consumers[name]; c != nil {
		re.json(c.info())
		return
	}
	c := &consumer{stream: st, config: asked.Config, created: time.Now().UTC(), client: re.from.name, number: st.numbers, used: time.Now()}
	st.numbers++
	c.config.Name = name
	c.begin()
	st.consumers[name] = c
	re.json(c.info())
	c.expire()
	if c.config.DeliverSubject != "" {
		c.beat()
		st.server.after(time.Microsecond, c.deliver)
	}
}

// begin finds what the consumer starts with.
func (c *consumer) begin() {
	st := c.stream
	c.next = st.last + 1
	switch c.config.DeliverPolicy {
	case jetstream.DeliverByStartSequencePolicy:
		c.next = max(c.config.OptStartSeq, 1)
	case jetstream.DeliverAllPolicy:
		c.next = 1
	case jetstream.DeliverLastPerSubjectPolicy:
		at := st.view(c.client)
		c.next = 1
		last := map[string]uint64{}
		for _, m := range st.messages {
			if m.there(at) && c.wants(m) {
				last[m.subject] = m.sequence
				c.next = m.sequence + 1
			}
		}
		c.initial = slices.Sorted(maps.Values(last))
	case jetstream.DeliverLastPolicy, jetstream.DeliverNewPolicy, jetstream.DeliverByStartTimePolicy:
	}
}

func (c *consumer) wants(m *stored) bool {
	filters := c.config.FilterSubjects
	if c.config.FilterSubject != "" {
		filters = []string{c.config.FilterSubject}
	}
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f string) bool { return matches(f, m.subject) })
}

// peek returns the next message to deliver, as the consumer's replica has it, or nil.
func (c *consumer) peek() *stored {
	at := c.stream.view(c.client)
	for len(c.initial) > 0 {
		if m := c.stream.at(c.initial[0], at); m != nil {
			return m
		}
		c.initial = c.initial[1:] // it is gone
	}
	for {
		m := c.stream.next(c.next, "", at)
		if m == nil || c.wants(m) {
			return m
		}
		c.next = m.sequence + 1
	}
}

// pending returns how many messages are still to be delivered.
func (c *consumer) pending() int {
	at := c.stream.view(c.client)
	count := len(c.initial)
	for m := c.stream.next(c.next, "", at); m != nil; m = c.stream.next(m.sequence+1, "", at) {
		if c.wants(m) {
			count++
		}
	}
	return count
}

func (c *consumer) info() map[string]any {
	return map[string]any{
		"stream_name": c.stream.config.Name, "name": c.config.Name, "created": c.created, "config": c.config,
		"delivered": map[string]any{"consumer_seq": c.delivered, "stream_seq": c.through}, "ack_floor": map[string]any{"consumer_seq": 0, "stream_seq": 0},
		"num_pending": c.pending(), "num_waiting": len(c.pulls), "num_ack_pending": 0, "num_redelivered": 0, "ts": time.Now().UTC(),
	}
}

// ask adds a request for messages.
func (c *consumer) ask(p *pull) {
	c.used = time.Now()
	c.pulls = append(c.pulls, p)
	if p.Expires > 0 {
		c.stream.server.after(p.Expires, func() { c.endPull(p, "408 Request Timeout") })
	}
	if p.Heartbeat > 0 {
		c.beatPull(p)
	}
	c.deliver()
}

// endPull ends a request for messages with a status.
func (c *consumer) endPull(p *pull, status string) {
	if p.done {
		return
	}
	p.done = true
	c.pulls = slices.DeleteFunc(c.pulls, func(other *pull) bool { return other == p })
	c.send(p.reply, message{subject: p.reply, header: fmt.Appendf(nil, "NATS/1.0 %s\r\nNats-Pending-Messages: %d\r\nNats-Pending-Bytes: %d\r\n\r\n", status, p.Batch, p.MaxBytes)})
}

// deliver sends what there is to the waiting pulls.
func (c *consumer) deliver() {
	for !c.deleted && c.stream.hasLeader() {
		m := c.peek()
		if c.config.DeliverSubject != "" {
			if m == nil || !c.stream.server.interest(c.config.DeliverSubject) {
				return
			}
			c.send(c.config.DeliverSubject, c.take(m))
			c.used = time.Now()
			continue
		}
		if len(c.pulls) == 0 {
			return
		}
		p := c.pulls[0]
		switch {
		case !c.stream.server.interest(p.reply):
			p.done = true
			c.pulls = c.pulls[1:]
		case m == nil && p.NoWait && !p.got:
			c.endPull(p, "404 No Messages")
		case m == nil && p.NoWait:
			c.endPull(p, "408 Requests Pending")
		case m == nil:
			return
		default:
			out := c.take(m)
			if size := len(out.header) + len(out.data) + len(out.reply) + len(out.subject); p.MaxBytes > 0 && size > p.MaxBytes {
				c.untake(m)
				c.endPull(p, "409 Message Size Exceeds MaxBytes")
				continue
			} else if p.MaxBytes > 0 {
				p.MaxBytes -= size
			}
			c.send(p.reply, out)
			p.got, p.active = true, time.Now()
			if p.Batch--; p.Batch <= 0 {
				p.done = true
				c.pulls = c.pulls[1:]
			}
		}
	}
}

// take returns a message as it is delivered, and goes on behind it.
func (c *consumer) take(m *stored) message {
	if len(c.initial) > 0 && c.initial[0] == m.sequence {
		c.initial = c.initial[1:]
	} else {
		c.next = m.sequence + 1
	}
	c.delivered++
	c.through = m.sequence
	out := message{subject: m.subject, header: m.header, data: m.data}
	out.reply = fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.%d.%d", c.stream.config.Name, c.config.Name, m.sequence, c.delivered, m.at.UnixNano(), c.pending())
	if c.config.HeadersOnly {
		out.header, out.data = withHeaders(m.header, "Nats-Msg-Size", number(uint64(len(m.data)))), nil
	}
	return out
}

// untake goes back to before a message.
func (c *consumer) untake(m *stored) {
	c.delivered--
	c.initial = append([]uint64{m.sequence}, c.initial...)
}

// send sends a message to the client, behind those before it.
func (c *consumer) send(to string, m message) {
	s := c.stream.server
	fate := s.config.Network.Reply(c.client, "$JS.CONSUMER."+c.stream.config.Name+" "+c.config.FilterSubject+strings.Join(c.config.FilterSubjects, " "))
	when := time.Now().Add(fate.After)
	if when.Before(c.sent) {
		when = c.sent
	}
	c.sent = when.Add(1)
	if fate.Lost {
		return
	}
	s.whileUp(when, func() { s.deliver(to, m) })
}

// idle is the status that shows a client that its consumer is there.
func (c *consumer) idle(to string) message {
	return message{subject: to, header: fmt.Appendf(nil, "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: %d\r\nNats-Last-Stream: %d\r\n\r\n", c.delivered, c.through)}
}

// beat sends idle heartbeats of a push consumer until it ends.
func (c *consumer) beat() {
	if c.config.IdleHeartbeat <= 0 {
		return
	}
	c.stream.server.after(c.config.IdleHeartbeat, func() {
		if c.deleted {
			return
		}
		if to := c.config.DeliverSubject; c.stream.server.interest(to) {
			c.used = time.Now()
			c.send(to, c.idle(to))
		}
		c.beat()
	})
}

// beatPull sends idle heartbeats of a request until it ends.
func (c *consumer) beatPull(p *pull) {
	c.stream.server.after(p.Heartbeat, func() {
		if p.done || c.deleted {
			return
		}
		if time.Since(p.active) >= p.Heartbeat {
			c.send(p.reply, c.idle(p.reply))
		}
		c.beatPull(p)
	})
}

// expire deletes the consumer once nobody has used it for a while.
func (c *consumer) expire() {
	after := c.config.InactiveThreshold
	if after <= 0 {
		after = 5 * time.Second
	}
	c.stream.server.after(after, func() {
		switch {
		case c.deleted:
		case time.Since(c.used) >= after && len(c.pulls) == 0:
			c.end()
		default:
			c.expire()
		}
	})
}

// end deletes the consumer.
func (c *consumer) end() {
	for len(c.pulls) > 0 {
		c.endPull(c.pulls[0], "409 Consumer Deleted")
	}
	c.deleted = true
	delete(c.stream.consumers, c.config.Name)
}

// resume delivers to push consumers whose client subscribes.
func (s *Server) resume(subject string) {
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		for _, c := range s.streams[name].inOrder() {
			if c.config.DeliverSubject == subject {
				c.deliver()
			}
		}
	}
}

// inOrder returns the consumers in the order in which they were created. Their names are random.
func (st *stream) inOrder() []*consumer {
	return slices.SortedFunc(maps.Values(st.consumers), func(a, b *consumer) int { return cmp.Compare(a.number, b.number) })
}
