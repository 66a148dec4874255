package projections

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// adopt switches to a generation that has become live, or builds another when it is unusable.
func (l *Live) adopt(ctx context.Context, shown *generation, n uint64) error {
	err := l.switchTo(ctx, shown, n)
	switch {
	case errors.Is(err, ErrOtherLog):
		return l.build(ctx, shown, err)
	case errors.Is(err, ErrUnusable):
		if again, unknown := l.Generations.Live(ctx); unknown != nil || again != n {
			return unknown // it was replaced and deleted in between
		}
		return l.build(ctx, shown, err)
	}
	return err
}

// switchTo opens a generation, lets it catch up with the shown one, and shows it.
func (l *Live) switchTo(ctx context.Context, shown *generation, n uint64) error {
	store, err := l.Generations.Open(ctx, n)
	if err != nil {
		return err
	}
	next := l.start(ctx, n, store)
	if err := l.overtake(ctx, shown, next); err != nil {
		return errors.Join(err, next.end())
	}
	l.show(next)
	l.Log.InfoContext(ctx, "the read model switched to a generation", slog.Uint64("generation", n))
	if shown != nil {
		shown.using.Wait()
		if err := shown.end(); err != nil {
			l.Log.WarnContext(ctx, "closing a generation of the read model failed", slog.Uint64("generation", shown.number), slog.Any("err", err))
		}
		return l.Generations.Sweep(ctx)
	}
	return l.count(ctx, next)
}

// How long a generation may take to nearly catch up with the shown one, and how long the
// shown one then pauses. A longer catch-up continues after another check which generation is
// live.
const (
	nearWithin     = 30 * time.Second
	overtakeWithin = 5 * time.Second
)

// overtake returns once next has caught up with shown: first nearly, while shown continues,
// then exactly, while shown is paused. If it fails, shown continues.
func (l *Live) overtake(ctx context.Context, shown, next *generation) error {
	near, cancel := context.WithTimeout(ctx, nearWithin)
	defer cancel()
	if shown == nil || errors.Is(shown.ended(), ErrOtherLog) {
		return next.reach(near, Positions{})
	}
	if err := next.reach(near, shown.positions()); err != nil || shown.ended() != nil || shown.lost(ctx) {
		return err
	}
	shown.stop()
	at := shown.positions()
	if stored, err := shown.store.Positions(ctx); err == nil { // other processes write to it too
		at = Positions{Integrations: max(at.Integrations, stored.Integrations), Probes: max(at.Probes, stored.Probes), Approvals: max(at.Approvals, stored.Approvals)}
	}
	still, cancel := context.WithTimeout(ctx, overtakeWithin)
	defer cancel()
	if err := next.reach(still, at); err != nil {
		shown.run(ctx)
		return err
	}
	return nil
}

// errNotBuilt means that no process in charge has built the read model yet.
var errNotBuilt = errors.New("no process has built the read model yet")

// build builds a generation because none is usable, and switches to it. If another process is
// building one, it waits for that.
func (l *Live) build(ctx context.Context, shown *generation, unusable error) error {
	if l.Mode == ReadOnly {
		return errNotBuilt
	}
	b := &Builder{Events: l.Events, Generations: l.Generations, Log: l.Log}
	built, err := b.Run(ctx)
	switch {
	case errors.Is(err, ErrBuilding):
		return nil
	case err != nil:
		return err
	}
	level := slog.LevelInfo
	about := []slog.Attr{slog.Uint64("generation", built.Generation), slog.Int("integrations", built.Integrations), slog.Uint64("position", built.Reached.Integrations)}
	if unusable != nil {
		level = slog.LevelWarn
		about = append(about, slog.Any("unusable", cause(unusable)))
	}
	l.Log.LogAttrs(ctx, level, "the read model was rebuilt", about...)
	return l.switchTo(ctx, shown, built.Generation)
}

// cause returns the cause of an error, which operators need and callers don't see.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
