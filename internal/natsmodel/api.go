package natsmodel

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// headerOf decodes headers, nil when there are none.
func headerOf(raw []byte) nats.Header {
	if len(raw) == 0 {
		return nil
	}
	decoded, err := nats.DecodeHeadersMsg(raw)
	if err != nil {
		return nil
	}
	return decoded
}

// withHeaders returns raw headers with more of them.
func withHeaders(raw []byte, more ...string) []byte {
	text := strings.TrimSuffix(string(raw), "\r\n")
	if text == "" {
		text = "NATS/1.0\r\n"
	}
	for n := 0; n+1 < len(more); n += 2 {
		text += more[n] + ": " + more[n+1] + "\r\n"
	}
	return []byte(text + "\r\n")
}

// json answers with v as JSON.
func (re request) json(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // only types of this package are written
	}
	re.answer("", data)
}

// fail answers with an error. Those about a stream name it.
func (re request) fail(st *stream, e *jetstream.APIError) {
	answer := map[string]any{"error": e}
	if st != nil {
		answer["stream"], answer["seq"] = st.config.Name, 0
	}
	re.json(answer)
}

var (
	errStreamNotFound   = &jetstream.APIError{Code: 404, ErrorCode: 10059, Description: "stream not found"}
	errConsumerNotFound = &jetstream.APIError{Code: 404, ErrorCode: 10014, Description: "consumer not found"}
	errNoMessage        = &jetstream.APIError{Code: 404, ErrorCode: 10037, Description: "no message found"}
)

// api answers a request to JetStream. Those that the service does not make are refused,
// so that none is answered by chance.
func (s *Server) api(re request, m message) {
	words := strings.Split(strings.TrimPrefix(m.subject, "$JS.API."), ".")
	at := func(n int) string {
		if n < len(words) {
			return words[n]
		}
		return ""
	}
	switch command := at(0) + "." + at(1); {
	case m.subject == "$JS.API.INFO":
		s.accountInfo(re)
	case command == "STREAM.NAMES":
		names := slices.Sorted(maps.Keys(s.streams))
		re.json(map[string]any{"streams": names, "total": len(names), "offset": 0, "limit": 1024})
	case command == "STREAM.CREATE":
		s.createStream(re, m)
	case command == "DIRECT.GET":
		if st := s.streams[at(2)]; st == nil || !st.config.AllowDirect {
			re.noResponders()
		} else {
			st.direct(re, m, strings.Join(words[min(3, len(words)):], "."))
		}
	default:
		name := at(2)
		if at(1) == "MSG" {
			name = at(3)
		}
		st := s.streams[name]
		switch {
		case st == nil:
			re.fail(nil, errStreamNotFound)
		case !st.hasLeader() && command != "CONSUMER.CREATE": // nobody answers
		case at(0) == "STREAM":
			st.api(re, command+"."+at(2), m)
		default:
			st.consumerAPI(re, command, at(3), m)
		}
	}
}

func (s *Server) accountInfo(re request) {
	unlimited := map[string]any{"max_memory": -1, "max_storage": -1, "max_streams": -1, "max_consumers": -1, "max_ack_pending": -1}
	re.json(map[string]any{"memory": 0, "storage": 0, "streams": len(s.streams), "consumers": 0, "limits": unlimited, "api": map[string]any{"total": 0, "errors": 0}})
}

func (s *Server) createStream(re request, m message) {
	var c jetstream.StreamConfig
	if err := json.Unmarshal(m.data, &c); err != nil {
		re.fail(nil, &jetstream.APIError{Code: 400, ErrorCode: 10025, Description: err.Error()})
		return
	}
	st := newStream(s, c)
	if there := s.streams[c.Name]; there != nil {
		if !reflect.DeepEqual(there.config, st.config) {
			re.fail(nil, &jetstream.APIError{Code: 400, ErrorCode: 10058, Description: "stream name already in use with a different configuration"})
			return
		}
		st = there
	}
	s.streams[c.Name] = st
	st.info(re)
}

// info answers with the state of a stream.
func (st *stream) info(re request) {
	re.json(map[string]any{"config": st.config, "created": st.created, "state": st.state(), "ts": time.Now().UTC()})
}

// api answers a request about one stream.
func (st *stream) api(re request, command string, m message) {
	if strings.HasPrefix(command, "STREAM.MSG.") {
		st.messageAPI(re, command, m)
		return
	}
	switch command[:strings.LastIndexByte(command, '.')] {
	case "STREAM.INFO":
		st.info(re)
	case "STREAM.UPDATE":
		var c jetstream.StreamConfig
		if err := json.Unmarshal(m.data, &c); err != nil {
			re.fail(nil, &jetstream.APIError{Code: 400, ErrorCode: 10025, Description: err.Error()})
			return
		}
		st.config = newStream(st.server, c).config
		st.info(re)
	case "STREAM.PURGE":
		st.purge(re, m)
	default:
		re.fail(nil, notModelled(command))
	}
}

func notModelled(what string) *jetstream.APIError {
	return &jetstream.APIError{Code: 501, ErrorCode: 10003, Description: "natsmodel: not modelled: " + what}
}

func (st *stream) purge(re request, m message) {
	var p struct {
		Filter   string `json:"filter"`
		Sequence uint64 `json:"seq"`
		Keep     uint64 `json:"keep"`
	}
	if len(m.data) > 0 {
		_ = json.Unmarshal(m.data, &p) // then everything is purged, as by the server
	}
	if st.config.DenyPurge {
		re.fail(nil, &jetstream.APIError{Code: 500, ErrorCode: 10110, Description: "stream purge not permitted"})
		return
	}
	var selected []*stored
	for _, m := range st.messages {
		if m.there(time.Now()) && (p.Filter == "" || matches(p.Filter, m.subject)) && (p.Sequence == 0 || m.sequence < p.Sequence) {
			selected = append(selected, m)
		}
	}
	selected = selected[:max(len(selected)-int(p.Keep), 0)]
	for _, m := range selected {
		st.drop(m)
	}
	re.json(map[string]any{"success": true, "purged": len(selected)})
}

// messageAPI reads or deletes one message at the leader.
func (st *stream) messageAPI(re request, command string, m message) {
	var asked getRequest
	if err := json.Unmarshal(m.data, &asked); err != nil {
		re.fail(nil, &jetstream.APIError{Code: 400, ErrorCode: 10025, Description: err.Error()})
		return
	}
	if command == "STREAM.MSG.DELETE" {
		found := st.at(asked.Sequence, time.Now())
		if st.config.DenyDelete || found == nil {
			re.fail(nil, &jetstream.APIError{Code: 500, ErrorCode: 10057, Description: "no message found, or deletes are denied"})
			return
		}
		st.drop(found)
		re.json(map[string]any{"success": true})
		return
	}
	found := st.get(asked, time.Now())
	if found == nil {
		re.fail(nil, errNoMessage)
		return
	}
	re.json(map[string]any{"message": map[string]any{
		"subject": found.subject, "seq": found.sequence, "hdrs": found.header, "data": found.data, "time": found.at,
	}})
}

// getRequest asks for messages.
type getRequest struct {
	Sequence  uint64     `json:"seq"`
	Last      string     `json:"last_by_subj"`
	Next      string     `json:"next_by_subj"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
	StartTime *time.Time `json:"start_time"`
}

// get returns the message that is asked for, as a replica at a moment has it, or nil.
func (st *stream) get(asked getRequest, at time.Time) *stored {
	switch {
	case asked.Last != "":
		return st.lastOn(asked.Last, at)
	case asked.Next != "":
		return st.next(asked.Sequence, asked.Next, at)
	}
	return st.at(asked.Sequence, at)
}

// direct answers a direct get, which any replica may.
func (st *stream) direct(re request, m message, subject string) {
	at := st.view(re.from.name)
	asked := getRequest{Last: subject}
	if subject == "" {
		if err := json.Unmarshal(m.data, &asked); err != nil {
			re.answer("NATS/1.0 408 Malformed Request\r\n\r\n", nil)
			return
		}
	}
	if asked.Batch > 0 {
		st.directBatch(re, asked, at)
		return
	}
	found := st.get(asked, at)
	if found == nil {
		re.answer("NATS/1.0 404 Message Not Found\r\n\r\n", nil)
		return
	}
	re.answer(string(st.directHeader(found)), found.data)
}

// directHeader returns the headers of a message that is read.
func (st *stream) directHeader(m *stored, more ...string) []byte {
	all := append([]string{
		jetstream.StreamHeader, st.config.Name, jetstream.SubjectHeader, m.subject, jetstream.SequenceHeader, number(m.sequence),
		jetstream.TimeStampHeaer, m.at.Format(time.RFC3339Nano),
	}, more...)
	return withHeaders(m.header, all...)
}

// directBatch answers with several messages, and a last one that ends them.
func (st *stream) directBatch(re request, asked getRequest, at time.Time) {
	from := max(asked.Sequence, 1)
	if asked.StartTime != nil {
		from = st.last + 1
		for _, m := range st.messages {
			if m.there(at) && !m.at.Before(*asked.StartTime) {
				from = m.sequence
				break
			}
		}
	}
	pending := 0
	for m := st.next(from, asked.Next, at); m != nil; m = st.next(m.sequence+1, asked.Next, at) {
		pending++
	}
	if pending == 0 {
		re.answer("NATS/1.0 404 Message Not Found\r\n\r\n", nil)
		return
	}
	var all []message
	last, bytes := uint64(0), 0
	for m := st.next(from, asked.Next, at); m != nil && len(all) < asked.Batch; m = st.next(m.sequence+1, asked.Next, at) {
		size := len(m.subject) + len(m.header) + len(m.data)
		if bytes += size; asked.MaxBytes > 0 && bytes > asked.MaxBytes && len(all) > 0 {
			break
		}
		pending--
		header := st.directHeader(m, "Nats-Num-Pending", strconv.Itoa(pending), "Nats-Last-Sequence", number(last))
		all = append(all, message{header: header, data: m.data})
		last = m.sequence
	}
	end := fmt.Sprintf("NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\nNats-Last-Sequence: %d\r\n\r\n", pending, last)
	re.answers(append(all, message{header: []byte(end)}))
}
