package eventstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/streams"
)

// A Replay is what is read once more, as it was stored.
type Replay struct {
	Of     Selection
	Probes bool      // read the log of probe results instead
	After  uint64    // begin after this position
	From   time.Time // begin with what was stored at this time or later; zero: from the first
	Follow bool      // go on with what is to come; else end with the last event of when it began
}

// Replay yields what r selects in the order of the log, without decoding it. A
// batch is what is ready at the moment, at least one event. An error ends the
// sequence, and so does ctx; another Replay goes on after the last position, except
// after ErrOtherLog.
func (s *Store) Replay(ctx context.Context, r Replay) iter.Seq2[[]Stored, error] {
	return func(yield func([]Stored, error) bool) {
		ctx, end := s.startReading(ctx)
		defer end()
		p := replaying{store: s, Replay: r, stream: logName, filter: r.Of.filter(logPrefix), at: r.After}
		if r.Probes {
			p.stream, p.filter = probeName, r.Of.filter(probePrefix)
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

// replaying is a replay on its way.
type replaying struct {
	Replay
	store          *Store
	stream, filter string
	at             uint64 // the position it has come to
	head           uint64 // where it ends, unless it follows
}

func (p *replaying) run(ctx context.Context, take func([]Stored) bool) error {
	more, err := p.begin(ctx)
	if err != nil || !more && !p.Follow {
		return err
	}
	messages, err := p.store.consume(ctx, p.stream, []string{p.filter}, p.at)
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

// begin finds out where to begin and where to end, and whether there is
// anything in between.
func (p *replaying) begin(ctx context.Context) (more bool, err error) {
	if p.head, err = p.store.head(ctx, p.stream); err != nil {
		return false, err
	}
	if !p.From.IsZero() {
		first, err := p.first(ctx, jetstreamext.GetBatchStartTime(p.From))
		if err != nil {
			return false, err
		}
		if first == 0 || first > p.head {
			first = p.head + 1
		}
		p.at = max(p.at, first-1)
	}
	return p.left(ctx)
}

// left reports whether there is anything between where it is and its end.
func (p *replaying) left(ctx context.Context) (bool, error) {
	if p.at >= p.head {
		return false, nil
	}
	// A replica may be behind, and what it lacks is no end.
	first, err := streams.NextFromLeader(ctx, p.store.nc, p.stream, p.filter, p.at+1)
	return first != nil && first.Sequence <= p.head, err
}

// first returns the position of the first of what is selected from some place
// on, 0 when there is none.
func (p *replaying) first(ctx context.Context, from jetstreamext.GetBatchOpt) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.store.timeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, p.store.js, p.stream, 1, from, jetstreamext.GetBatchSubject(p.filter))
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

// quiet is how long nothing may come before a replay asks whether anything is
// left: what was counted may have been dropped by a limit.
const quiet = time.Second

// next returns what is ready, and whether that is the end.
func (p *replaying) next(ctx context.Context, messages <-chan sequenced) (batch []Stored, ended bool, err error) {
	patient, cancel := context.WithTimeout(ctx, quiet)
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
		batch = append(batch, Stored{Position: m.sequence, header: m.msg.Headers(), data: m.msg.Data()})
	}
	return batch, !p.Follow && (p.at == p.head || ready[len(ready)-1].pending == 0), nil
}
