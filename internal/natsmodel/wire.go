package natsmodel

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxPayload is what a message may hold, as the service configures its server.
const maxPayload = 8 << 20

// message is a message with its headers as they are sent, status line included.
type message struct {
	subject, reply string
	header, data   []byte
}

// frame returns the message as it is sent to a subscription.
func (m message) frame(sid string) []byte {
	var b bytes.Buffer
	reply := ""
	if m.reply != "" {
		reply = m.reply + " "
	}
	if len(m.header) > 0 {
		fmt.Fprintf(&b, "HMSG %s %s %s%d %d\r\n", m.subject, sid, reply, len(m.header), len(m.header)+len(m.data))
	} else {
		fmt.Fprintf(&b, "MSG %s %s %s%d\r\n", m.subject, sid, reply, len(m.data))
	}
	b.Write(m.header)
	b.Write(m.data)
	b.WriteString("\r\n")
	return b.Bytes()
}

// operation is one operation of the client protocol of NATS.
type operation struct {
	words   []string // its line
	message *message // of PUB and HPUB
}

// conn is the connection of a client.
type conn struct {
	server *Server
	id     uint64
	name   string // of the client
	pipe   net.Conn

	mu      sync.Mutex
	subs    []subscription
	out     [][]byte
	closed  bool
	written chan struct{} // there is something in out, or closed
}

type subscription struct {
	subject, sid string
	left         int // how many messages it still takes; -1: any number
}

func newConn(s *Server, id uint64, name string, pipe net.Conn) *conn {
	c := &conn{server: s, id: id, name: name, pipe: pipe, written: make(chan struct{}, 1)}
	c.send(fmt.Appendf(nil, `INFO {"server_id":"MODEL","server_name":"model","version":"2.15.3","proto":1,"headers":true,"jetstream":true,"max_payload":%d,"client_id":%d}`+"\r\n", maxPayload, id))
	return c
}

// send queues bytes for the client.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	c.out = append(c.out, b)
	c.mu.Unlock()
	c.notify()
}

func (c *conn) notify() {
	select {
	case c.written <- struct{}{}:
	default:
	}
}

// write writes what is queued until the connection is closed.
func (c *conn) write() {
	for range c.written {
		c.mu.Lock()
		out, closed := c.out, c.closed
		c.out = nil
		c.mu.Unlock()
		if closed {
			return
		}
		if _, err := c.pipe.Write(bytes.Join(out, nil)); err != nil {
			c.close()
			return
		}
	}
}

// close ends the connection. What is queued is lost.
func (c *conn) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.notify()
	_ = c.pipe.Close() // it is gone in any case
	c.server.mu.Lock()
	delete(c.server.conns, c.id)
	c.server.mu.Unlock()
}

// read reads operations until the connection ends.
func (c *conn) read() {
	defer c.close()
	in := bufio.NewReader(c.pipe)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		o := operation{words: words}
		if name := strings.ToUpper(words[0]); name == "PUB" || name == "HPUB" {
			if o.message, err = readMessage(in, words); err != nil {
				return
			}
		}
		c.server.receive(c, o)
	}
}

// readMessage reads what follows "PUB subject [reply] size" or "HPUB subject [reply] header total".
func readMessage(in io.Reader, words []string) (*message, error) {
	sizes := 1
	if strings.EqualFold(words[0], "HPUB") {
		sizes = 2
	}
	if len(words) < 2+sizes {
		return nil, fmt.Errorf("natsmodel: %q", words)
	}
	m := &message{subject: words[1]}
	if len(words) > 2+sizes {
		m.reply = words[2]
	}
	total, err := strconv.Atoi(words[len(words)-1])
	if err != nil || total > maxPayload {
		return nil, fmt.Errorf("natsmodel: %q", words)
	}
	body := make([]byte, total+2)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, err
	}
	m.data = body[:total]
	if sizes == 2 {
		of, err := strconv.Atoi(words[len(words)-2])
		if err != nil || of > total {
			return nil, fmt.Errorf("natsmodel: %q", words)
		}
		m.header, m.data = body[:of], body[of:total]
	}
	return m, nil
}

// control does what is neither PUB nor HPUB.
func (c *conn) control(o operation) {
	switch strings.ToUpper(o.words[0]) {
	case "PING":
		c.send([]byte("PONG\r\n"))
	case "SUB":
		if n := len(o.words); n >= 3 {
			c.mu.Lock()
			c.subs = append(c.subs, subscription{o.words[1], o.words[n-1], -1})
			c.mu.Unlock()
			c.server.resume(o.words[1])
		}
	case "UNSUB":
		if len(o.words) < 2 {
			return
		}
		left := 0
		if len(o.words) > 2 {
			left, _ = strconv.Atoi(o.words[2])
		}
		c.mu.Lock()
		for n := range c.subs {
			if c.subs[n].sid == o.words[1] {
				c.subs[n].left = left
			}
		}
		c.subs = slices.DeleteFunc(c.subs, func(s subscription) bool { return s.left == 0 })
		c.mu.Unlock()
	}
}

// subscribes reports whether the client subscribes to a subject.
func (c *conn) subscribes(subject string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.subs, func(s subscription) bool { return matches(s.subject, subject) })
}

// take returns the subscriptions to a subject, which each get a message.
func (c *conn) take(subject string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for n := range c.subs {
		if !matches(c.subs[n].subject, subject) {
			continue
		}
		all = append(all, c.subs[n].sid)
		if c.subs[n].left > 0 {
			c.subs[n].left--
		}
	}
	c.subs = slices.DeleteFunc(c.subs, func(s subscription) bool { return s.left == 0 })
	return all
}

// matches reports whether a subject is of a pattern, which may have wildcards.
func matches(pattern, subject string) bool {
	if pattern == subject || pattern == ">" {
		return true
	}
	for {
		p, restP, moreP := strings.Cut(pattern, ".")
		s, restS, moreS := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != s, moreP != moreS:
			return false
		case !moreP:
			return true
		}
		pattern, subject = restP, restS
	}
}

var errRefused = errors.New("natsmodel: connection refused")

// Dialer connects a client with a name.
func (s *Server) Dialer(name string) Dialer { return Dialer{s, name} }

// A Dialer is a nats.CustomDialer.
type Dialer struct {
	server *Server
	name   string
}

// Dial connects, wherever the address leads.
func (d Dialer) Dial(_, _ string) (net.Conn, error) {
	s := d.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.closing || now.Before(s.down) || now.Before(s.refused[d.name]) {
		return nil, errRefused
	}
	near, far := net.Pipe()
	s.nextID++
	c := newConn(s, s.nextID, d.name, far)
	s.conns[c.id] = c
	go c.read()
	go c.write()
	return near, nil
}

// SkipTLSHandshake is for nats.go: there is none.
func (Dialer) SkipTLSHandshake() bool { return true }

// sever ends the connections of a client, of all when the name is empty.
func (s *Server) sever(name string) {
	s.mu.Lock()
	var all []*conn
	for _, c := range s.conns {
		if name == "" || c.name == name {
			all = append(all, c)
		}
	}
	s.mu.Unlock()
	sortConns(all)
	for _, c := range all {
		c.close()
	}
}

func sortConns(all []*conn) {
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
}
