package eventstore

import (
	"bytes"
	"sync"

	"github.com/nats-io/nats.go"
)

// recent keeps what was read last at the end of the streams. Everything in a
// process that follows a log reads the same messages at about the same time, so
// each is decoded once. Nobody changes an event that was read.
type recent struct {
	slots [256]slot
}

// mostKept is the size of the largest message that is kept, in bytes.
const mostKept = 16 << 10

type slot struct {
	mu     sync.Mutex
	stream string
	data   []byte
	commit Commit
}

// read returns the commit of a message, which is decoded unless it was just
// now. A position alone doesn't say which message it is: after a backup was
// restored another one may be there.
func (r *recent) read(stream string, position uint64, header nats.Header, data []byte, decode func() Commit) Commit {
	if r == nil || len(data) > mostKept {
		return decode()
	}
	s := &r.slots[position%uint64(len(r.slots))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != stream || s.commit.Position != position || s.commit.Meta.CommandID != header.Get(headerID) || !bytes.Equal(s.data, data) {
		s.stream, s.data, s.commit = stream, data, decode()
	}
	return s.commit
}
