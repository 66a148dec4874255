package eventstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/streams"
)

// A Replay selects stored events to read.
type Replay struct {
	Of     Selection
	Probes bool // read the probe results instead
	Calls  bool // read the calls instead

	Approvals bool      // read the events of approvals instead
	After     uint64    // start after this position
	From      time.Time // start with the first event stored at this time or later; zero: the first event
	Follow    bool      // continue with new events; else end with the last event at the start
}

// Replay yields the events that r selects in log order, without decoding them. A batch
// has the events that are ready, at least one. An error or ctx ends the sequence; another
// Replay can continue after the last position, except after ErrOtherLog.
func (s *Store) Replay(ctx context.Context, r Replay) iter.Seq2[[]Stored, error] {
	return func(yield func([]Stored, error) bool) {
		ctx, end := s.startReading(ctx)
		defer end()
		p := replaying{store: s, Replay: r, stream: logName, filters: r.Of.logFilters(), at: r.After}
		switch {
		case r.Probes:
			p.stream, p.filters = probeName, []string{r.Of.filter(probePrefix)}
		case r.Calls:
			p.stream, p.filters = callName, []string{r.Of.filter(callPrefix)}
		case r.Approvals:
			p.stream, p.filters = approvalName, []string{r.Of.approvalFilter()}
		}
		err := p.run(ctx, func(batch []Stored) bool { return yield(batch, nil) })
		switch {
		case errors.Is(context.Cause(ctx), ErrOtherLog):
			yield(nil, ErrOtherLog)
		case err != nil && ctx.Err() == nil:
			yield(nil, unavailable(err, "replay "+p.stream))
		}
	}
}

// replaying is a running replay.
type replaying struct {
	Replay
	store   *Store
	stream  string
	filters []string
	at      uint64 // the position it has reached
	head    uint64 // where it ends, unless it follows
}

func (p *replaying) run(ctx context.Context, take func([]Stored) bool) error {
	more, err := p.begin(ctx)
	if err != nil || !more && !p.Follow {
		return err
	}
	messages, err := p.store.consume(ctx, p.stream, p.filters, p.at)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		batch, ended, err := p.next(ctx, messages)
		if err != nil {
			return err
		}
		if len(batch) > 0 && !take(batch) || ended {
			return nil
		}
	}
	return nil
}

// begin determines the first and last positions, and whether there are events in
// between.
func (p *replaying) begin(ctx context.Context) (more bool, err error) {
	if p.head, err = p.store.head(ctx, p.stream); err != nil {
		return false, err
	}
	if !p.From.IsZero() {
		first := p.head + 1
		for _, filter := range p.filters {
			position, err := p.store.firstAt(ctx, p.stream, filter, p.From)
			if err != nil {
				return false, err
			}
			if position > 0 {
				first = min(first, position)
			}
		}
		p.at = max(p.at, first-1)
	}
	return p.left(ctx)
}

// left reports whether there are events between the current position and the end.
func (p *replaying) left(ctx context.Context) (bool, error) {
	if p.at >= p.head {
		return false, nil
	}
	// A replica may be behind, so its last event isn't necessarily the end.
	for _, filter := range p.filters {
		first, err := streams.NextFromLeader(ctx, p.store.nc, p.stream, filter, p.at+1)
		if err != nil || first != nil && first.Sequence <= p.head {
			return err == nil, err
		}
	}
	return false, nil
}

// firstAt returns the position of the first message on a filter that was stored at a time or
// later, 0 when there is none.
func (s *Store) firstAt(ctx context.Context, stream, filter string, at time.Time) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, stream, 1, jetstreamext.GetBatchStartTime(at), jetstreamext.GetBatchSubject(filter))
	if err != nil {
		return 0, err
	}
	for msg, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return msg.Sequence, nil
	}
	return 0, context.Cause(ctx)
}

// idleCheck is how long a replay waits without messages before it checks whether any are
// left: a limit may have dropped some.
const idleCheck = time.Second

// next returns the events that are ready, and whether the replay has ended.
func (p *replaying) next(ctx context.Context, messages <-chan sequenced) (batch []Stored, ended bool, err error) {
	patient, cancel := context.WithTimeout(ctx, idleCheck)
	defer cancel()
	ready, err := next(patient, messages)
	switch {
	case err != nil && patient.Err() != nil && p.Follow:
		return nil, false, nil
	case err != nil && patient.Err() != nil:
		more, err := p.left(ctx)
		return nil, !more, err
	case err != nil:
		return nil, false, err
	}
	for _, m := range ready {
		if !p.Follow && m.sequence > p.head {
			return batch, true, nil
		}
		p.at = m.sequence
		p.store.last.notice(m.msg.Subject(), m.sequence)
		batch = append(batch, Stored{Position: m.sequence, header: m.msg.Headers(), data: m.msg.Data()})
	}
	return batch, !p.Follow && (p.at == p.head || ready[len(ready)-1].pending == 0), nil
}
