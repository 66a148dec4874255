package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/streams"
)

// deliver handles each event of a source until ctx ends, in one of the processes that
// share its name.
func (s *Subscriber) deliver(ctx context.Context, from source, handle handler) error {
	if s.config.Name == "" {
		return s.follow(ctx, from, handle)
	}
	return s.events.Lead(ctx, from.key, func(ctx context.Context) error { return s.follow(ctx, from, handle) })
}

// follow reads from the position of the source until ctx ends. After a failure it
// continues from the position that it has reached.
func (s *Subscriber) follow(ctx context.Context, from source, handle handler) error {
	var at uint64
	log, started := "", false
	pauses := s.config.Pause.backoff()
	for ctx.Err() == nil {
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
		if errors.Is(err, ErrOtherLog) { // continue where both logs are the same
			now := s.events.Lineage()
			at, _ = from.locate(now, log, at)
			log = now.ID()
		}
		if s.events.Closed() {
			return fmt.Errorf("read %s: %w", from.key, nats.ErrConnectionClosed)
		}
		if at != before {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		if ctx.Err() == nil {
			s.config.Log.WarnContext(ctx, "events can't be read; trying again", slog.String("subscriber", from.key), slog.Duration("pause", pause), slog.Any("err", err))
		}
		streams.Wait(ctx, pause)
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
	} else if same, is := from.locate(s.events.Lineage(), s.config.LogID, at); !is || at > head {
		return min(same, head), fmt.Errorf("%w: position %d", ErrOtherLog, at)
	}
	if s.config.Name != "" {
		err = s.events.SavePosition(ctx, from.key, s.events.Lineage().ID(), at)
	}
	return at, err
}

// read handles the events after a position until ctx ends or reading fails. It returns
// the position up to which all are handled.
func (s *Subscriber) read(ctx context.Context, from source, log string, at uint64, handle handler) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mark := newWatermark(at)
	queues := newQueues(s.config, handle, mark.done)
	saved := make(chan uint64, 1)
	go func() { saved <- s.savePositions(ctx, from.key, log, mark) }()
	err := errEnded
	for commits, failed := range from.after(ctx, at) {
		if err = failed; err != nil {
			break
		}
		for _, c := range commits {
			if mark.start(ctx, c.Position) {
				queues.put(ctx, c)
			}
		}
	}
	cancel()
	queues.wait() // for the events in flight
	s.savePosition(ctx, from.key, log, <-saved, mark.position())
	return mark.position(), err
}

var errEnded = errors.New("the events ended")

const (
	saveEvery = 250 * time.Millisecond
	// beatEvery is how often an idle subscriber saves its position again, which shows
	// that it is still there.
	beatEvery = 10 * time.Second
)

// savePositions saves the position until ctx ends, and returns the one saved last.
func (s *Subscriber) savePositions(ctx context.Context, key, log string, mark *watermark) uint64 {
	saved := mark.position()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for s.config.Name != "" && ctx.Err() == nil {
		streams.Wait(ctx, saveEvery)
		select {
		case <-beat.C:
			if at := mark.position(); at == saved && mark.idle() {
				_ = s.events.SavePosition(context.WithoutCancel(ctx), key, log, at) // else at the next beat
			}
		default:
		}
		saved = s.savePosition(ctx, key, log, saved, mark.position())
	}
	return saved
}

// savePosition saves a position that differs from the one saved last. It returns the
// one that is saved now.
func (s *Subscriber) savePosition(ctx context.Context, key, log string, saved, at uint64) uint64 {
	if s.config.Name == "" || at == saved {
		return saved
	}
	if err := s.events.SavePosition(context.WithoutCancel(ctx), key, log, at); err != nil {
		s.config.Log.WarnContext(ctx, "the position of a subscriber was not saved; trying again", slog.String("subscriber", key), slog.Any("err", err))
		return saved
	}
	return at
}
