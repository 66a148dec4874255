package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
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

// newID returns a unique id that sorts by time (UUID version 7).
func newID() string { return uuid.Must(uuid.NewV7()).String() }
