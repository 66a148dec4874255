package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	random[0] = random[0]&0x3f | 0x80
	return fmt.Sprintf("%08x-%04x-7%03x-%x-%x", milliseconds>>16, milliseconds&0xffff, fraction*4096/int64(time.Millisecond), random[:2], random[2:])
}
