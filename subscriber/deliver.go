package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// deliver handles each event of a source until ctx ends, in one of the processes that share
// the subscriber's name.
func (s *Subscriber) deliver(ctx context.Context, from source, handle handler) error {
	if s.config.Name == "" {
		return s.follow(ctx, from, handle)
	}
	return s.events.Lead(ctx, from.key, func(ctx context.Context) error { return s.follow(ctx, from, handle) })
}

// follow reads from the position of the source, and after a failure from where it got to,
// until ctx ends.
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
		if errors.Is(err, ErrOtherLog) { // continues from the last common position
			now := s.events.Lineage()
			at, _ = from.locate(now, log, at)
			log = now.ID()
		}
		if at != before {
			pause = s.config.Pause.First
		}
		if ctx.Err() == nil {
			s.config.Log.WarnContext(ctx, "reading events failed; retrying", slog.String("subscriber", from.key), slog.Duration("pause", pause), slog.Any("err", err))
		}
		wait(ctx, pause)
	}
	return nil
}

// start returns the position to start after.
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

// read handles the events after a position until ctx ends or reading fails. It returns the
// low watermark.
func (s *Subscriber) read(ctx context.Context, from source, log string, at uint64, handle handler) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWatermark(at)
	l := newPartitions(s.config, handle, w.done)
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
	s.keep(ctx, from.key, log, <-kept, w.low()) // the running handlers have ended
	return w.low(), err
}

var errEnded = errors.New("the event stream ended")

// beatEvery is how often an unchanged position is saved while no handler runs, to show that
// the subscriber is alive.
const beatEvery = 10 * time.Second

// save saves the position until ctx ends, and returns the last one it saved.
func (s *Subscriber) save(ctx context.Context, key, log string, w *watermark) uint64 {
	kept := w.low()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for s.config.Name != "" && ctx.Err() == nil {
		wait(ctx, 250*time.Millisecond)
		select {
		case <-beat.C:
			if at := w.low(); at == kept && w.idle() {
				_ = s.events.SavePosition(context.WithoutCancel(ctx), key, log, at) // otherwise at the next beat
			}
		default:
		}
		kept = s.keep(ctx, key, log, kept, w.low())
	}
	return kept
}

// keep saves a position in place of kept, and returns the one that is saved then.
func (s *Subscriber) keep(ctx context.Context, key, log string, kept, at uint64) uint64 {
	if s.config.Name == "" || at == kept {
		return kept
	}
	if err := s.events.SavePosition(context.WithoutCancel(ctx), key, log, at); err != nil {
		s.config.Log.WarnContext(ctx, "saving the position of a subscriber failed; retrying", slog.String("subscriber", key), slog.Any("err", err))
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
