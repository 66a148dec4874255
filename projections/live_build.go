package projections

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// adopt goes over to a generation that has become live, or builds another when
// it can't be used.
func (l *Live) adopt(ctx context.Context, shown *generation, n uint64) error {
	err := l.goOver(ctx, shown, n)
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

// goOver opens a generation, brings it as far as the one shown, and shows it.
func (l *Live) goOver(ctx context.Context, shown *generation, n uint64) error {
	store, err := l.Generations.Open(ctx, n)
	if err != nil {
		return err
	}
	next := l.start(ctx, n, store)
	if err := l.overtake(ctx, shown, next); err != nil {
		return errors.Join(err, next.end())
	}
	l.show(next)
	l.Log.InfoContext(ctx, "the read model is read from", slog.Uint64("generation", n))
	if shown != nil {
		shown.using.Wait()
		if err := shown.end(); err != nil {
			l.Log.WarnContext(ctx, "a generation of the read model can't be closed", slog.Uint64("generation", shown.number), slog.Any("err", err))
		}
		return l.Generations.Sweep(ctx)
	}
	return l.count(ctx, next)
}

// How long it may take to bring a generation near the one that is shown, and how
// long that one then stands still. What takes longer goes on where it came to,
// after another look at which generation is live.
const (
	nearWithin     = 30 * time.Second
	overtakeWithin = 5 * time.Second
)

// overtake returns once next is as far as shown: first nearly, while shown moves
// on, then exactly, while it stands still. Shown goes on when that fails.
func (l *Live) overtake(ctx context.Context, shown, next *generation) error {
	near, cancel := context.WithTimeout(ctx, nearWithin)
	defer cancel()
	if shown == nil || errors.Is(shown.over(), ErrOtherLog) {
		return next.reach(near, Positions{})
	}
	if err := next.reach(near, shown.positions()); err != nil || shown.over() != nil || shown.gone(ctx) {
		return err
	}
	shown.halt()
	at := shown.positions()
	if stored, err := shown.store.Positions(ctx); err == nil { // others write to it as well
		at = Positions{Integrations: max(at.Integrations, stored.Integrations), Probes: max(at.Probes, stored.Probes)}
	}
	still, cancel := context.WithTimeout(ctx, overtakeWithin)
	defer cancel()
	if err := next.reach(still, at); err != nil {
		shown.run(ctx)
		return err
	}
	return nil
}

// errNotBuilt says that those who keep the read model have not built one yet.
var errNotBuilt = errors.New("the read model has not been built yet by a process that does so")

// build builds a generation because there is none, or none that can be used, and
// goes over to it. When another process is about to, that one is waited for.
func (l *Live) build(ctx context.Context, shown *generation, unusable error) error {
	if l.Part == Follows {
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
	if unusable != nil {
		level = slog.LevelWarn
	}
	l.Log.LogAttrs(ctx, level, "the read model was built anew", slog.Any("unusable", cause(unusable)), slog.Uint64("generation", built.Generation),
		slog.Int("integrations", built.Integrations), slog.Uint64("position", built.Reached.Integrations))
	return l.goOver(ctx, shown, built.Generation)
}

// cause is what an operator has to know of an error: its cause, which callers are
// not told.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
