package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"
)

// console is the environment of a command: its output, its log and the context that
// ends when the program is interrupted.
type console struct {
	ctx context.Context //nolint:containedctx // it ends with the program, as the output does
	out io.Writer
	err io.Writer
	log *slog.Logger
}

// waiting shows why a command waits for a lease.
func (c console) waiting(why error) {
	c.log.Warn("the command waits", slog.Any("err", why))
}

// writeJSON writes a value as a line of JSON.
func (c console) writeJSON(v any) error { return json.NewEncoder(c.out).Encode(v) }

// errProblemsFound sets the exit status of a command that has reported problems.
var errProblemsFound = errors.New("problems found")

// clock returns the time in UTC, in microseconds, which every store can keep.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// newID returns a unique id that sorts by time: a UUID version 7 (RFC 9562), with the
// fraction of the millisecond in the 12 bits after the version.
func newID() string {
	now := time.Now().UnixNano()
	milliseconds, fraction := now/int64(time.Millisecond), now%int64(time.Millisecond)
	var id [16]byte
	_, _ = rand.Read(id[8:]) // never fails
	binary.BigEndian.PutUint64(id[:], uint64(milliseconds)<<16|7<<12|uint64(fraction*4096/int64(time.Millisecond)))
	id[8] = id[8]&0x3f | 0x80
	text := hex.AppendEncode(make([]byte, 0, 36), id[:4])
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		text = hex.AppendEncode(append(text, '-'), part)
	}
	return string(text)
}
