// Package callrecorder records calls beside their answers: a caller doesn't wait for the disk.
//
// Its promise: a call that Record has taken is recorded, once, even if this process is killed
// or NATS is down meanwhile. Only a power cut may take those of the last moment, which are in
// a journal that is not synced and not in the log of calls yet.
package callrecorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/durablefile"
)

const (
	gatherFor  = 10 * time.Millisecond // how long a call waits for others that are stored with it
	maxBatch   = 500                   // calls that are stored together
	maxQueue   = 5_000                 // calls that wait
	maxJournal = 4 << 20               // bytes, beyond which the journal begins again
	waitFor    = 5 * time.Second       // for room, or until a call is stored
	firstPause = 50 * time.Millisecond // after a failure; doubled each time
	maxPause   = 2 * time.Second
)

// ErrInUse means that another process uses the journal.
var ErrInUse = errors.New("another process uses the journal of calls")

// Recorder records calls. Only one may use a journal.
type Recorder struct {
	events *eventstore.Store
	log    *slog.Logger

	lock *os.File

	mu      sync.Mutex
	journal *journal
	queue   []*queued     // oldest first
	doubts  int           // how many of the queue may be stored already, after since
	since   origin        // of the journal
	changed chan struct{} // closed when some of the queue are stored

	work  chan struct{} // has an element when something is queued
	hurry chan struct{} // has an element when somebody waits
}

type queued struct {
	record   eventstore.CallRecord
	encoded  []byte
	position uint64
	stored   chan struct{} // closed once position is set
}

// origin is the first record of a journal: the calls in it are after a position of a log.
type origin struct {
	Log   string `json:"log"`
	After uint64 `json:"after"`
}

// Open returns the recorder of a journal. Calls in it that are not recorded are the first that
// Run records. A journal of another log, such as one that was copied from another service, is set
// aside under another name, with its calls, and taken back when its log is. One that is damaged is
// kept under another name, and what can be read of it is recorded if its log is known. It returns
// ErrInUse when another process uses the journal.
func Open(ctx context.Context, path string, events *eventstore.Store, log *slog.Logger) (_ *Recorder, err error) {
	lock, err := durablefile.Lock(path + ".lock")
	if errors.Is(err, durablefile.ErrLocked) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock the journal of calls: %w", err)
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	r := &Recorder{events: events, log: log, lock: lock, changed: make(chan struct{}), work: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
	old, err := r.load(path)
	if err != nil {
		return nil, err
	}
	if r.doubts = len(r.queue); r.doubts > 0 {
		log.Info("calls of an earlier run are recorded, unless they are", slog.Int("calls", r.doubts))
	}
	if r.doubts == 0 {
		r.since.Log = events.Lineage().ID()
		if r.since.After, err = events.CallHead(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.begin(path); err != nil {
		return nil, err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil { // its calls are found to be recorded next time
			log.Warn("a journal of calls that was taken back can't be removed", slog.String("file", file), slog.Any("err", err))
		}
	}
	if r.doubts > 0 {
		signal(r.work)
	}
	events.BeforeCalls(r.Flush)
	return r, nil
}

// clear empties the journal when nothing is queued.
func (r *Recorder) clear() error {
	first, err := json.Marshal(r.since)
	if err != nil {
		return fmt.Errorf("empty the journal of calls: %w", err)
	}
	return r.journal.reset(first)
}

// begin replaces the journal with one of what is queued.
func (r *Recorder) begin(path string) error {
	first, err := json.Marshal(r.since)
	if err != nil {
		return fmt.Errorf("begin a journal of calls: %w", err)
	}
	records := [][]byte{first}
	for _, q := range r.queue {
		records = append(records, q.encoded)
	}
	next, err := startJournal(path, records...)
	if err != nil {
		return fmt.Errorf("begin a journal of calls: %w", err)
	}
	if r.journal != nil {
		_ = r.journal.close() // it is replaced
	}
	r.journal = next
	return nil
}

// Record takes a call, to be recorded within moments. It waits while too many are to be
// recorded, and until the call is recorded if the journal can't take it.
func (r *Recorder) Record(ctx context.Context, e domain.IntegrationInvoked, m domain.Metadata) error {
	_, err := r.take(ctx, e, m, false)
	return err
}

// RecordNow returns the position of a call in the log of calls once it is on disk. If that
// takes too long it returns an error, and the call is recorded later.
func (r *Recorder) RecordNow(ctx context.Context, e domain.IntegrationInvoked, m domain.Metadata) (uint64, error) {
	return r.take(ctx, e, m, true)
}

func (r *Recorder) take(ctx context.Context, e domain.IntegrationInvoked, m domain.Metadata, wait bool) (uint64, error) {
	record, err := r.events.EncodeCall(ctx, e, m)
	if err != nil {
		return 0, err
	}
	q := &queued{record: record, stored: make(chan struct{})}
	if q.encoded, err = record.MarshalBinary(); err != nil {
		return 0, fmt.Errorf("record a call: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	journaled, err := r.enqueue(ctx, q)
	if err != nil || journaled && !wait {
		return 0, err
	}
	signal(r.hurry)
	select {
	case <-q.stored:
		return q.position, nil
	case <-ctx.Done():
		return 0, behind(ctx.Err())
	}
}

// enqueue queues a call once there is room, and reports whether it is in the journal.
func (r *Recorder) enqueue(ctx context.Context, q *queued) (journaled bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) >= maxQueue {
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			return false, behind(ctx.Err())
		}
	}
	failed := r.journal.append(q.encoded)
	if failed != nil {
		r.log.WarnContext(ctx, "writing the journal of calls failed; the call waits until it is recorded", slog.Any("err", failed))
	}
	r.queue = append(r.queue, q)
	signal(r.work)
	if len(r.queue) >= maxBatch {
		signal(r.hurry)
	}
	return failed == nil, nil
}

// Flush returns once every call that was taken before is recorded.
func (r *Recorder) Flush(ctx context.Context) error {
	r.mu.Lock()
	var last *queued
	if n := len(r.queue); n > 0 {
		last = r.queue[n-1]
	}
	r.mu.Unlock()
	if last == nil {
		return nil
	}
	signal(r.hurry)
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	select {
	case <-last.stored:
		return nil
	case <-ctx.Done():
		return behind(ctx.Err())
	}
}

// signal leaves an element in a channel that has room for one.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// behind is the error of a call that is not recorded in time.
func behind(err error) error {
	return domain.Wrap(fmt.Errorf("record calls: %w", err), domain.Unavailable, "event_log_unavailable", "the log of calls is unavailable; try again")
}
