package natsmodel

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stored is a message of a stream.
type stored struct {
	sequence uint64
	subject  string
	header   []byte
	data     []byte
	at       time.Time
	gone     time.Time // when it was deleted; a replica that is behind may still have it
}

// there reports whether a replica that is at a moment has the message.
func (m *stored) there(at time.Time) bool {
	return !m.at.After(at) && (m.gone.IsZero() || m.gone.After(at))
}

// stream is a stream, and what is kept with it.
type stream struct {
	server  *Server
	config  jetstream.StreamConfig
	created time.Time

	messages  []*stored            // by sequence, deleted ones for a while too
	subjects  map[string][]*stored // the same by subject
	last      uint64
	lastAt    time.Time
	ids       map[string]identified // of Nats-Msg-Id
	batches   map[string]*batch
	consumers map[string]*consumer
	numbers   uint64 // of consumers

	laggingTo  time.Time // until then some replicas are behind:
	laggingAt  time.Time // they are as the stream was at this moment
	leaderless time.Time // until then it has no leader
}

// identified is a message with an id, which is not stored twice.
type identified struct {
	sequence uint64
	at       time.Time
}

func newStream(s *Server, c jetstream.StreamConfig) *stream {
	c.Replicas = max(c.Replicas, 1)
	for _, limit := range []*int64{&c.MaxMsgs, &c.MaxBytes, &c.MaxMsgsPerSubject} {
		*limit = cmp.Or(*limit, -1)
	}
	c.MaxConsumers, c.MaxMsgSize = cmp.Or(c.MaxConsumers, -1), cmp.Or(c.MaxMsgSize, -1)
	if c.Duplicates == 0 {
		c.Duplicates = 2 * time.Minute
		if c.MaxAge > 0 {
			c.Duplicates = min(c.Duplicates, c.MaxAge)
		}
	}
	return &stream{
		server: s, config: c, created: time.Now().UTC(), subjects: map[string][]*stored{}, ids: map[string]identified{},
		batches: map[string]*batch{}, consumers: map[string]*consumer{},
	}
}

func (st *stream) stores(subject string) bool {
	return slices.ContainsFunc(st.config.Subjects, func(pattern string) bool { return matches(pattern, subject) })
}

func (st *stream) hasLeader() bool { return !time.Now().Before(st.leaderless) }

// view returns the moment that a read sees the stream at, when any replica may answer it.
func (st *stream) view(client string) time.Time {
	now := time.Now()
	if now.Before(st.laggingTo) && st.server.config.Network.Behind(client, st.config.Name) {
		return st.laggingAt
	}
	return now
}

// publish stores a message, or refuses it.
func (st *stream) publish(re request, m message) {
	if !st.hasLeader() {
		re.noResponders()
		return
	}
	header := headerOf(m.header)
	if header.Get("Nats-Batch-Id") != "" {
		st.addToBatch(re, m, header)
		return
	}
	if refusal := st.refuse(m.subject, header, nil); refusal != nil {
		re.fail(st, refusal)
		return
	}
	if id := header.Get(jetstream.MsgIDHeader); id != "" {
		if first, known := st.ids[id]; known && time.Since(first.at) < st.config.Duplicates {
			re.json(pubAck{Stream: st.config.Name, Sequence: first.sequence, Duplicate: true})
			return
		}
	}
	re.json(pubAck{Stream: st.config.Name, Sequence: st.store(m, header)})
	st.pump()
}

type pubAck struct {
	Stream    string `json:"stream"`
	Sequence  uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate,omitempty"`
	BatchID   string `json:"batch,omitempty"`
	BatchSize int    `json:"count,omitempty"`
}

// refuse returns why a message is not stored, nil when it is. Made are the sequences that
// the messages before it in a batch will have, by subject.
func (st *stream) refuse(subject string, header nats.Header, made map[string]uint64) *jetstream.APIError {
	if want := header.Get(jetstream.ExpectedStreamHeader); want != "" && want != st.config.Name {
		return &jetstream.APIError{Code: 400, ErrorCode: 10060, Description: "expected stream does not match"}
	}
	if want := header.Get(jetstream.ExpectedLastSubjSeqHeader); want != "" {
		at := cmp.Or(header.Get(jetstream.ExpectedLastSubjSeqSubjHeader), subject)
		last := made[at]
		if m := st.lastOn(at, time.Now()); last == 0 && m != nil {
			last = m.sequence
		}
		if want != number(last) {
			return wrongLast(last)
		}
	}
	if want := header.Get(jetstream.ExpectedLastSeqHeader); want != "" && want != number(st.last) {
		return wrongLast(st.last)
	}
	return nil
}

func wrongLast(last uint64) *jetstream.APIError {
	return &jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: "wrong last sequence: " + number(last)}
}

// store stores a message and returns its sequence.
func (st *stream) store(m message, header nats.Header) uint64 {
	now := time.Now().UTC()
	if !now.After(st.lastAt) {
		now = st.lastAt.Add(1)
	}
	st.last++
	st.lastAt = now
	kept := &stored{sequence: st.last, subject: m.subject, header: m.header, data: m.data, at: now}
	if header.Get("Nats-Rollup") == "sub" {
		for _, earlier := range st.subjects[m.subject] {
			st.drop(earlier)
		}
	}
	st.messages = append(st.messages, kept)
	st.subjects[m.subject] = append(st.subjects[m.subject], kept)
	if id := header.Get(jetstream.MsgIDHeader); id != "" {
		st.ids[id] = identified{kept.sequence, now}
	}
	if limit := st.config.MaxMsgsPerSubject; limit > 0 {
		there := int64(0)
		for _, m := range slices.Backward(st.subjects[m.subject]) {
			if m.gone.IsZero() {
				if there++; there > limit {
					st.drop(m)
				}
			}
		}
	}
	if age := st.config.MaxAge; age > 0 {
		st.server.after(age, func() { st.drop(kept) })
	}
	st.forget()
	return kept.sequence
}

// drop deletes a message.
func (st *stream) drop(m *stored) {
	if m.gone.IsZero() {
		m.gone = time.Now()
	}
}

// remembered is how long deleted messages are kept, for replicas that are behind.
const remembered = 2 * time.Minute

// forget frees what was deleted long ago.
func (st *stream) forget() {
	if len(st.messages)%512 != 0 {
		return
	}
	old := func(m *stored) bool { return !m.gone.IsZero() && time.Since(m.gone) > remembered }
	st.messages = slices.DeleteFunc(st.messages, old)
	for subject, all := range st.subjects {
		if all = slices.DeleteFunc(all, old); len(all) == 0 {
			delete(st.subjects, subject)
		} else {
			st.subjects[subject] = all
		}
	}
}

// lastOn returns the last message on a subject, which may have wildcards, as a replica at a
// moment has it.
func (st *stream) lastOn(subject string, at time.Time) *stored {
	all, exact := st.subjects[subject]
	if !exact {
		all = st.messages
	}
	for _, m := range slices.Backward(all) {
		if m.there(at) && (exact || matches(subject, m.subject)) {
			return m
		}
	}
	return nil
}

// next returns the first message from a sequence on that is on a subject; "" is any.
func (st *stream) next(from uint64, subject string, at time.Time) *stored {
	n, _ := slices.BinarySearchFunc(st.messages, from, func(m *stored, from uint64) int { return cmp.Compare(m.sequence, from) })
	for _, m := range st.messages[n:] {
		if m.there(at) && (subject == "" || matches(subject, m.subject)) {
			return m
		}
	}
	return nil
}

// at returns the message at a sequence, nil when there is none.
func (st *stream) at(sequence uint64, at time.Time) *stored {
	if m := st.next(sequence, "", at); m != nil && m.sequence == sequence {
		return m
	}
	return nil
}

// state returns what the leader reports.
func (st *stream) state() map[string]any {
	now := time.Now()
	count, bytes, deleted := 0, 0, []uint64{}
	var first, end *stored
	subjects := map[string]bool{}
	for _, m := range st.messages {
		if !m.there(now) {
			continue
		}
		if first == nil {
			first = m
		}
		if end != nil {
			for gap := end.sequence + 1; gap < m.sequence; gap++ {
				deleted = append(deleted, gap)
			}
		}
		end = m
		count, bytes = count+1, bytes+len(m.subject)+len(m.header)+len(m.data)
		subjects[m.subject] = true
	}
	state := map[string]any{
		"messages": count, "bytes": bytes, "first_seq": st.last + 1, "first_ts": time.Time{}, "last_seq": st.last, "last_ts": st.lastAt,
		"consumer_count": len(st.consumers), "num_subjects": len(subjects),
	}
	if first != nil {
		state["first_seq"], state["first_ts"] = first.sequence, first.at
		for gap := end.sequence + 1; gap <= st.last; gap++ {
			deleted = append(deleted, gap)
		}
	} else if st.last == 0 {
		state["first_seq"] = 0
	}
	if len(deleted) > 0 {
		state["num_deleted"], state["deleted"] = len(deleted), deleted
	}
	return state
}

func (st *stream) consumerAPI(re request, command, name string, m message) {
	if command == "CONSUMER.CREATE" {
		st.createConsumer(re, name, m)
		return
	}
	if command == "CONSUMER.MSG" {
		words := strings.Split(m.subject, ".")
		name = words[len(words)-1]
	}
	c := st.consumers[name]
	switch {
	case c == nil && command == "CONSUMER.MSG":
		re.noResponders()
	case c == nil:
		re.fail(nil, errConsumerNotFound)
	case command == "CONSUMER.MSG":
		p := &pull{request: re, active: time.Now()}
		_ = json.Unmarshal(m.data, p)
		c.ask(p)
	case command == "CONSUMER.INFO":
		re.json(c.info())
	case command == "CONSUMER.DELETE":
		c.end()
		re.json(map[string]any{"success": true})
	default:
		re.fail(nil, notModelled(command))
	}
}

// pump delivers what is new to the consumers of a stream.
func (st *stream) pump() {
	for _, c := range st.inOrder() {
		c.deliver()
	}
}
