package accesslog

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/persons"
)

// opened reverses sealed.
func (l *Log) opened(ctx context.Context, r *Record) error {
	for _, field := range []*string{&r.Key, &r.Address} {
		text, err := l.Persons.Open(ctx, r.Workspace, *field)
		if err == nil && text == persons.Erased {
			text, err = l.Persons.Open(ctx, persons.Everywhere, *field)
		}
		if err != nil {
			return err
		}
		*field = text
	}
	return nil
}

// A Stored is a record with its position in the log.
type Stored struct {
	Record

	Position uint64
}

// Filter selects records of a workspace.
type Filter struct {
	Kind     Kind      // empty: any
	Key      string    // empty: any
	From, To time.Time // of the last request: From inclusive, To exclusive. Zero: any
}

// Page returns up to limit of the selected records after a position, oldest first, and the
// position after which the next page begins, 0 when there is none. A page may be short, or
// even empty, and still have a next one.
func (l *Log) Page(ctx context.Context, w domain.Workspace, f Filter, after uint64, limit int) (page []Stored, next uint64, err error) {
	const scanned, size = 5000, 4 << 20
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case l.pages <- struct{}{}:
		defer func() { <-l.pages }()
	case <-ctx.Done():
		return nil, 0, unavailable(ctx.Err())
	}
	subject := prefix + string(w) + ".*"
	if f.Kind != "" {
		subject = prefix + string(w) + "." + kindToken(f.Kind)
	}
	from := jetstreamext.GetBatchSeq(after + 1)
	if after == 0 && !f.From.IsZero() {
		from = jetstreamext.GetBatchStartTime(f.From) // a record is stored after its requests
	}
	messages, err := jetstreamext.GetBatch(ctx, l.js, Stream, scanned, from, jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(size))
	if err != nil {
		return nil, 0, unavailable(err)
	}
	more := false
	for msg, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return page, 0, nil
		}
		if err != nil {
			return nil, 0, unavailable(err)
		}
		if len(page) == limit {
			return page, after, nil
		}
		pending, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
		more, after = err != nil || pending > 0, msg.Sequence
		r := Stored{Position: msg.Sequence}
		if err := json.Unmarshal(msg.Data, &r.Record); err != nil {
			continue // not from this program
		}
		r.Workspace, r.Kind = w, kindOf(msg.Header.Get("ce-type"))
		if r.Kind == Cut && w != all {
			r.Asked = w // which earlier releases did not store
		}
		if err := l.opened(ctx, &r.Record); err != nil {
			return nil, 0, err
		}
		if r.Kind != "" && f.selects(r.Record) {
			page = append(page, r)
		}
	}
	if err := ctx.Err(); err != nil { // at the deadline the sequence ends without an error
		return nil, 0, unavailable(err)
	}
	if more {
		return page, after, nil
	}
	return page, 0, nil
}

func kindOf(typ string) Kind {
	for _, k := range []Kind{Denied, Used, Cut, Erased} {
		if typ == string(k)+version {
			return k
		}
	}
	return ""
}

func (f Filter) selects(r Record) bool {
	return (f.Key == "" || f.Key == r.Key) && (f.From.IsZero() || !r.Last.Before(f.From)) && (f.To.IsZero() || r.Last.Before(f.To))
}
