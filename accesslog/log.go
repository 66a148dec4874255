package accesslog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/streams"
)

// Stream is the name of the stream of the records.
const Stream = "ACCESS"

const (
	prefix   = "access."
	version  = ".v1"
	every    = time.Second     // between writes
	atEnd    = 3 * time.Second // for the last write
	timeout  = 5 * time.Second // of one request to NATS
	maxPages = 4               // that are read at once; others wait
	maxAge   = 365 * 24 * time.Hour
	maxKept  = 250_000 // records of some 500 bytes; the oldest make room. A limit of bytes would reserve them on the disk
	maxKey   = 260     // bytes of the id of a key: "oidc:" and a claim of a token
	chunk    = 500     // records that are sealed at once
)

// Log has the records. A nil Log records nothing.
type Log struct {
	Persons *persons.Persons            // seals who asked and from where; nil: that is stored as it is
	Exists  func(domain.Workspace) bool // from memory: whether a workspace is known to exist; nil: of none it is known

	js    jetstream.JetStream
	now   func() time.Time
	newID func() string
	log   *slog.Logger
	pages chan struct{} // one for each page that is being read
	added gathering     // since the last write, as it is

	// Of Run only.
	fresh   []Record    // that were added, and are to be sealed
	since   uint64      // the revision of erasures before the first of them was added
	next    uint64      // that before the first that was added later
	counts  gathering   // sealed
	pending []*nats.Msg // to write
}

// unknown is no revision of erasures.
const unknown = ^uint64(0)

// Open returns the log, and creates its stream if it does not exist.
func Open(ctx context.Context, nc *nats.Conn, replicas int, now func() time.Time, newID func() string, log *slog.Logger) (*Log, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	if _, err := streams.Ensure(ctx, js, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{prefix + "*.*"}, AllowDirect: true, Replicas: max(replicas, 1), MaxAge: maxAge, MaxMsgs: maxKept, Discard: jetstream.DiscardOld,
	}); err != nil {
		return nil, fmt.Errorf("open the access log: %w", err)
	}
	return &Log{js: js, now: now, newID: newID, log: log, pages: make(chan struct{}, maxPages)}, nil
}

// Add counts requests. It writes nothing, and takes less than a microsecond.
func (l *Log) Add(r Record) {
	if l == nil {
		return
	}
	r.First, r.Count, r.Key = l.now(), 1, strings.ToValidUTF8(r.Key[:min(len(r.Key), maxKey)], "")
	r.Last = r.First
	r.aimed = r.Key == "" && l.Exists != nil && l.Exists(r.Workspace)
	l.added.add(r)
}

// Run writes the records each second until ctx ends, and then the rest. It returns nil.
func (l *Log) Run(ctx context.Context) error {
	failing := false
	l.next = l.first(ctx)
	for {
		more := streams.Wait(ctx, every)
		err := l.write(ctx, !more)
		if err != nil && !failing {
			l.log.WarnContext(ctx, "denied requests and the use of keys are not recorded; retrying", slog.Any("err", err))
		}
		if failing = err != nil; !more {
			return nil
		}
	}
}

// first returns the revision of erasures before anything is added.
func (l *Log) first(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atEnd)
	defer cancel()
	revision, err := l.Persons.Revision(ctx)
	if err != nil {
		return unknown
	}
	return revision
}

// write seals what was added, and writes what is due.
func (l *Log) write(ctx context.Context, end bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atEnd)
	defer cancel()
	if err := l.seal(ctx); err != nil {
		return fmt.Errorf("write the access log: %w", err)
	}
	if len(l.pending) == 0 {
		for _, r := range l.counts.due(l.now(), end) {
			msg, err := l.message(r)
			if err != nil {
				return err
			}
			l.pending = append(l.pending, msg)
		}
	}
	for len(l.pending) > 0 {
		if _, err := l.js.PublishMsg(ctx, l.pending[0]); err != nil { // it may be stored all the same: the server knows it by its id
			return fmt.Errorf("write the access log: %w", err)
		}
		l.pending = l.pending[1:]
	}
	return nil
}

// seal seals what was added, and counts it. If anything was erased since then, it is not known
// whether that is of those who asked: they are not named.
func (l *Log) seal(ctx context.Context) error {
	if len(l.fresh) == 0 {
		revision, err := l.Persons.Revision(ctx) // before the records are taken: it is that of those that come later
		if err != nil {
			return err
		}
		l.fresh, l.since, l.next = l.added.take(), l.next, revision
	}
	for len(l.fresh) > 0 {
		batch := l.fresh[:min(len(l.fresh), chunk)]
		sealed := make([]Record, len(batch))
		for n, r := range batch {
			var err error
			if sealed[n], err = l.sealed(ctx, r); err != nil {
				return late(ctx, err)
			}
		}
		revision, err := l.Persons.Revision(ctx) // after they were sealed, so that no key was created after an erasure
		if err != nil {
			return late(ctx, err)
		}
		for n, r := range sealed {
			if revision != l.since {
				r = unnamed(batch[n])
			}
			l.counts.add(r)
		}
		l.fresh = l.fresh[len(batch):]
	}
	return nil
}

// late returns err, unless the time for it is over: then the rest is sealed later.
func late(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("seal records: %w", ctx.Err())
	}
	return err
}

// unnamed returns a record without who asked and from where.
func unnamed(r Record) Record {
	if r.Key == "" {
		return r
	}
	if r.Address = persons.Erased; persons.IsPerson(r.Key) {
		r.Key = persons.Erased
	}
	return r
}

// Write writes one record, and returns once it is on disk.
func (l *Log) Write(ctx context.Context, r Record) error {
	r, err := l.sealed(ctx, r)
	if err != nil {
		return err
	}
	msg, err := l.message(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := l.js.PublishMsg(ctx, msg); err != nil {
		return unavailable(err)
	}
	return nil
}

// sealed returns a record as it is stored. The addresses of callers without a key are nobody's.
func (l *Log) sealed(ctx context.Context, r Record) (Record, error) {
	var err error
	r.Workspace = cmp.Or(r.Workspace, all)
	r.Key, r.Address, err = l.Persons.SealRequest(ctx, r.Workspace, r.Key, r.Address)
	return r, err
}

// message returns the message of a record that is sealed.
func (l *Log) message(r Record) (*nats.Msg, error) {
	w := cmp.Or(r.Workspace, all)
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the access log: %w", err)
	}
	id := l.newID()
	return &nats.Msg{Subject: prefix + string(w) + "." + kindToken(r.Kind), Data: data, Header: nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {id}, nats.MsgIdHdr: {id}, "ce-type": {string(r.Kind) + version}, "ce-source": {"/v1/" + string(w) + "/access-events"},
		"ce-time": {r.Last.UTC().Format(time.RFC3339Nano)}, "content-type": {"application/json"},
	}}, nil
}

// kindToken returns the last part of a subject.
func kindToken(k Kind) string { return string(k)[len(prefix):] }

func unavailable(err error) error {
	return domain.Wrap(fmt.Errorf("access log: %w", err), domain.Unavailable, "access_log_unavailable", "the access log is unavailable; try again")
}
