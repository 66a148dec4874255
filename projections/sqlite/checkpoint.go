package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// checkpointer copies the pages of the write-ahead log to the file beside the changes: that syncs
// both, and a change would wait for it. By itself SQLite does so within every change that finds
// 1,000 pages or more in its log.
type checkpointer struct {
	own *pool // of one connection, which is opened when the log has grown
	log *slog.Logger

	due, most int // duePages and maxLogPages

	mu     sync.Mutex    // is held while the log is copied
	grown  chan struct{} // the log is due
	length atomic.Int64  // pages of the log after the last change
	copied atomic.Int64  // pages of the log that are in the file; more than its length if it has begun again
	next   int           // length at which changes wait; is used by the writer alone

	ended   sync.WaitGroup
	stop    context.CancelFunc
	stopped context.Context
}

const (
	duePages = 2000 // that are not in the file yet

	// maxLogPages is how long the log becomes, of pages of 8 KB, before changes wait for it to begin
	// again. Otherwise it does so when all of it is copied and no reader needs it, which may not
	// happen while there are always changes and readers.
	maxLogPages = 8000

	// readersWithin is how long changes then wait for readers.
	readersWithin = 100 * time.Millisecond
)

// newCheckpointer copies the log of the file at path, which writer writes.
func newCheckpointer(path string, writer *pool, log *slog.Logger) *checkpointer {
	stopped, stop := context.WithCancel(context.Background())
	c := &checkpointer{
		own: newPool(location(path, "cache_size(-1000)", "synchronous(normal)"), 1), log: log,
		due: duePages, most: maxLogPages, grown: make(chan struct{}, 1), stop: stop, stopped: stopped,
	}
	writer.opened = func(one *connection) { one.WALHook(c.committed) }
	c.ended.Go(c.run)
	return c
}

// committed is called after each commit, with the length of the log.
func (c *checkpointer) committed(_ *sqlite3.Conn, _ string, length int) error {
	c.length.Store(int64(length))
	copied := int(c.copied.Load())
	if copied > length {
		copied = 0
	}
	if length-copied >= c.due {
		select {
		case c.grown <- struct{}{}:
		default:
		}
	}
	return nil
}

// run copies the log whenever it is due, until close.
func (c *checkpointer) run() {
	for {
		select {
		case <-c.grown:
		case <-c.stopped.Done():
			return
		}
		err := c.own.use(c.stopped, func(one *connection) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			_, copied, err := one.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
			if err == nil {
				c.copied.Store(int64(copied))
			}
			return err
		})
		c.report(err)
	}
}

// makeRoom lets the log begin again before a change of the writer, if it has become too long. While
// readers prevent that, it tries again only when the log has grown further.
func (c *checkpointer) makeRoom(writer *connection) {
	length := int(c.length.Load())
	if length < max(c.next, c.most) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = length + c.due
	err := writer.BusyTimeout(readersWithin)
	if err == nil {
		_, _, err = writer.WALCheckpoint("main", sqlite3.CHECKPOINT_RESTART) // little is left to copy
	}
	if err == nil {
		c.next = 0
		c.length.Store(0)
	}
	c.report(errors.Join(err, writer.BusyTimeout(busyTimeout)))
}

// report logs a failure. There is none if others use the log.
func (c *checkpointer) report(err error) {
	if err != nil && !errors.Is(err, sqlite3.BUSY) && c.stopped.Err() == nil {
		c.log.Warn("copying the log of the read model to its file failed; it is tried again after more changes", slog.Any("err", err))
	}
}

// close waits for the copying to end. The connection that is closed last copies what is left.
func (c *checkpointer) close() error {
	c.stop()
	c.ended.Wait()
	return c.own.close()
}
