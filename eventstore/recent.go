package eventstore

import (
	"bytes"
	"sync"

	"github.com/nats-io/nats.go"
)

// messageCache caches the messages that were read last from the end of the streams, and those
// that were loaded last. All followers of a log in a process read the same messages at about
// the same time, and calls load the same integrations again, so each is decoded once. What is
// sealed of persons is sealed here too: it may be erased meanwhile. Readers must not modify
// events.
type messageCache struct {
	slots [256]slot
}

// maxCachedSize is the size of the largest cached message, in bytes.
const maxCachedSize = 16 << 10

type slot struct {
	mu     sync.Mutex
	stream string
	data   []byte
	commit Commit
}

// read returns the commit of a message, and decodes it unless it is cached. A position
// alone doesn't identify a message: after a restore it may have another one.
func (r *messageCache) read(stream string, position uint64, header nats.Header, data []byte, decode func() Commit) Commit {
	if r == nil || len(data) > maxCachedSize {
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
