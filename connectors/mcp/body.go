package mcp

import (
	"context"
	"errors"
	"io"

	"github.com/seed677028b5/integrations/connectors/egress"
)

// maxMessage limits one message of a server, in bytes.
const maxMessage = egress.MaxBody

// limitedBody is the body of an answer, whose size is bounded: as a whole, or for a
// stream in each of its events.
type limitedBody struct {
	transport *transport
	trip      *roundTrip
	body      io.ReadCloser
	ctx       context.Context // of the request
	end       func()
	stream    bool
	size      int  // of this event, or of the whole
	blank     bool // the last line so far is empty
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.measure(p[:n])
	if e := b.transport.accept(n, b.size, b.size > maxMessage); e != nil {
		return 0, e
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.transport.mu.Lock()
		b.trip.err = egress.Unreadable(b.ctx, err)
		b.transport.mu.Unlock()
	}
	return n, err
}

// measure adds what was read to the size. An empty line ends an event.
func (b *limitedBody) measure(read []byte) {
	if !b.stream {
		b.size += len(read)
		return
	}
	for _, c := range read {
		b.size++
		switch {
		case c == '\n' && b.blank:
			b.size = 0
		case c == '\n':
			b.blank = true
		case c != '\r':
			b.blank = false
		}
		if b.size > maxMessage {
			return
		}
	}
}

// Close implements io.Closer.
func (b *limitedBody) Close() error {
	defer b.end()
	return b.body.Close()
}
