package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/jsm.go"
)

const (
	requestTime = 10 * time.Second
	stalled     = 30 * time.Second // without a chunk of a snapshot
)

// snapshot is the server's snapshot of one stream: its configuration as JSON, and its
// messages in a temporary file.
type snapshot struct {
	config []byte
	data   *os.File
	size   int64
}

func (s *snapshot) close() { _ = s.data.Close() }

// errStalled ends a snapshot whose server has stopped sending.
var errStalled = fmt.Errorf("the server sent nothing for %s", stalled)

// takeSnapshot takes a snapshot of a stream, and calls progress with the bytes received.
func takeSnapshot(ctx context.Context, stream *jsm.Stream, scratch string, progress func(int64)) (*snapshot, error) {
	file, err := os.CreateTemp(scratch, ".snapshot-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil { // it disappears when its handle is closed
		return nil, errors.Join(err, file.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer timer.Stop()
	s := &snapshot{data: file}
	var config bytes.Buffer
	_, err = stream.SnapshotToBuffer(ctx, &receiver{to: file, took: func(n int) {
		timer.Reset(stalled)
		s.size += int64(n)
		progress(s.size)
	}}, &receiver{to: &config, took: func(int) {}})
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		s.close()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, explain(err)
	}
	s.config = config.Bytes()
	return s, nil
}

// explain adds the most likely reason to the error of a request that got no reply.
func explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || err != nil && err.Error() == "nats: timeout" {
		return fmt.Errorf("%w: the NATS server did not answer; the NATS user may lack the permission to take and restore snapshots", err)
	}
	return err
}

// receiver is a writer that counts. The library closes it; receiver ignores that, because
// the underlying writer is closed by its owner.
type receiver struct {
	to   io.Writer
	took func(int)
}

func (r *receiver) Write(p []byte) (int, error) {
	n, err := r.to.Write(p)
	r.took(n)
	return n, err
}

func (r *receiver) Close() error { return nil }
