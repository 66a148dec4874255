package eventstore

import (
	"encoding/binary"
	"errors"

	"github.com/nats-io/nats.go"
)

// A CallRecord is a call as it is stored.
type CallRecord struct {
	subject string
	header  nats.Header
	data    []byte
}

// ID returns the command id of the call.
func (c CallRecord) ID() string { return c.header.Get(headerID) }

// MarshalBinary implements encoding.BinaryMarshaler. It never fails.
func (c CallRecord) MarshalBinary() ([]byte, error) {
	size := 2*binary.MaxVarintLen64 + len(c.subject) + len(c.data)
	for name := range c.header {
		size += 2*binary.MaxVarintLen64 + len(name) + len(c.header.Get(name))
	}
	data := appendPart(make([]byte, 0, size), c.subject)
	data = append(binary.AppendUvarint(data, uint64(len(c.data))), c.data...)
	for name := range c.header {
		data = appendPart(appendPart(data, name), c.header.Get(name))
	}
	return data, nil
}

func appendPart(data []byte, part string) []byte {
	return append(binary.AppendUvarint(data, uint64(len(part))), part...)
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (c *CallRecord) UnmarshalBinary(data []byte) error {
	var parts []string
	for len(data) > 0 {
		length, n := binary.Uvarint(data)
		if n <= 0 || length > uint64(len(data)-n) { //nolint:gosec // n is at most the length of data
			return errNoCall
		}
		end := n + int(length) //nolint:gosec // at most the length of data
		parts, data = append(parts, string(data[n:end])), data[end:]
	}
	if len(parts) < 2 || len(parts)%2 > 0 {
		return errNoCall
	}
	*c = CallRecord{subject: parts[0], data: []byte(parts[1]), header: nats.Header{}}
	for n := 2; n < len(parts); n += 2 {
		c.header[parts[n]] = []string{parts[n+1]}
	}
	return nil
}

var errNoCall = errors.New("this is not the record of a call")
