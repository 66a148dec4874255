package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// deliver has each event of a source handled until ctx ends, in one of the
// processes that share its name.
func (s *Subscriber) deliver(ctx context.Context, from source, handle handler) error {
	if s.config.Name == "" {
		return s.follow(ctx, from, handle)
	}
	return s.events.Lead(ctx, from.key, func(ctx context.Context) error { return s.follow(ctx, from, handle) })
}

// follow reads from where the source stands, and after a failure from where it
// had come, until ctx ends.
func (s *Subscriber) follow(ctx context.Context, from source, handle handler) error {
	var at uint64
	log, started := "", false
	for pause := s.config.Pause.First; ctx.Err() == nil; pause = min(2*pause, s.config.Pause.Longest) {
		before := at
		var err error
		if !started {
			log = s.events.Lineage().ID()
			at, err = s.start(ctx, from)
			started = err == nil
		}
		if err == nil {
			at, err = s.read(ctx, from, log, at, handle)
		}
		if errors.Is(err, ErrOtherLog) && s.config.Name == "" {
			return err
		}
		if errors.Is(err, ErrOtherLog) { // nothing that follows where both are the same was seen
			now := s.events.Lineage()
			at, _ = from.locate(now, log, at)
			log = now.ID()
		}
		if at != before {
			pause = s.config.Pause.First
		}
		if ctx.Err() == nil {
			s.config.Log.WarnContext(ctx, "events can't be read; trying again", slog.String("subscriber", from.key), slog.Duration("pause", pause), slog.Any("err", err))
		}
		wait(ctx, pause)
	}
	return nil
}

// start returns where to start.
func (s *Subscriber) start(ctx context.Context, from source) (at uint64, err error) {
	if s.config.Name != "" {
		at, known, err := from.position(ctx, from.key)
		if err != nil || known {
			return at, err
		}
	}
	head, err := from.head(ctx)
	if err != nil {
		return 0, err
	}
	if at = s.config.After; s.config.FromNow {
		at = head
	} else if same, is := from.locate(s.events.Lineage(), s.config.OfLog, at); !is || at > head {
		return min(same, head), fmt.Errorf("%w: position %d", ErrOtherLog, at)
	}
	if s.config.Name != "" {
		err = s.events.SavePosition(ctx, from.key, s.events.Lineage().ID(), at)
	}
	return at, err
}

// read has the events after a position handled until ctx ends or reading fails.
// It returns the position up to which all were.
func (s *Subscriber) read(ctx context.Context, from source, log string, at uint64, handle handler) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWindow(at)
	l := newLanes(s.config, handle, w.done)
	kept := make(chan uint64, 1)
	go func() { kept <- s.save(ctx, from.key, log, w) }()
	err := errEnded
	for events, failed := range from.after(ctx, at) {
		if err = failed; err != nil {
			break
		}
		for _, e := range events {
			if w.begin(ctx, e.Position) {
				l.put(ctx, e)
			}
		}
	}
	cancel()
	l.wait()
	s.keep(ctx, from.key, log, <-kept, w.reached()) // what was under way is done by now
	return w.reached(), err
}

var errEnded = errors.New("the events ended")

// beatEvery is how often the position is kept though it is the same, while nothing
// is being handled: it tells those who look that the subscriber is there.
const beatEvery = 10 * time.Second

// save keeps the position while ctx lasts, and returns what it kept last.
func (s *Subscriber) save(ctx context.Context, key, log string, w *window) uint64 {
	kept := w.reached()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for s.config.Name != "" && ctx.Err() == nil {
		wait(ctx, 250*time.Millisecond)
		select {
		case <-beat.C:
			if at := w.reached(); at == kept && w.idle() {
				_ = s.events.SavePosition(context.WithoutCancel(ctx), key, log, at) // else at the next beat
			}
		default:
		}
		kept = s.keep(ctx, key, log, kept, w.reached())
	}
	return kept
}

// keep keeps a position in the place of another one, and returns the one that is
// kept then.
func (s *Subscriber) keep(ctx context.Context, key, log string, kept, at uint64) uint64 {
	if s.config.Name == "" || at == kept {
		return kept
	}
	if err := s.events.SavePosition(context.WithoutCancel(ctx), key, log, at); err != nil {
		s.config.Log.WarnContext(ctx, "the position of a subscriber was not kept; trying again", slog.String("subscriber", key), slog.Any("err", err))
		return kept
	}
	return at
}

func wait(ctx context.Context, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}
