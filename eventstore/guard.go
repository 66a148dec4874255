package eventstore

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/streams"
)

// How the guard checks the log.
const (
	guardEvery = 5 * time.Second
	confirmAt  = time.Second // between checks of a log that seems to have lost events
	confirm    = 3           // checks in a row before a loss is believed: a new leader may take a moment to know its data
	scrubEvery = 24 * time.Hour
	scrubAgain = time.Minute // after an interrupted scrub
)

// A Guard monitors the log while the service runs. While events are missing that no
// operator has accepted as lost, nothing is appended.
type Guard struct {
	Store *Store
	Saved Mark             // as read at the start
	Save  func(Mark) error // stores a mark outside NATS
	Log   *slog.Logger

	mu       sync.Mutex
	seen     Integrity
	scrubbed Scrubbed
}

// Check checks the log now. It takes some seconds before it reports missing events.
func (g *Guard) Check(ctx context.Context) (Integrity, error) {
	var i Integrity
	for look := range confirm {
		if look > 0 && !streams.Wait(ctx, confirmAt) {
			return i, ctx.Err()
		}
		g.mu.Lock()
		mark, scrubbed := g.Saved, g.scrubbed
		g.mu.Unlock()
		var err error
		if i, err = g.Store.Inspect(ctx, scrubbed, mark); err != nil {
			return i, err
		}
		if i.Whole() {
			break
		}
	}
	g.act(ctx, i)
	return i, nil
}

// Last returns the result of the last check.
func (g *Guard) Last() Integrity {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

// act acts on the result of a check.
func (g *Guard) act(ctx context.Context, i Integrity) {
	g.mu.Lock()
	g.seen = i
	g.mu.Unlock()
	before, now := g.Store.Intact(), i.Err()
	g.Store.refuseChanges(now)
	switch {
	case now != nil && before == nil:
		g.Log.ErrorContext(ctx, "the event log is incomplete: changes are refused and no secrets are destroyed", slog.String("missing", i.Describe()))
	case now == nil && before != nil:
		g.Log.InfoContext(ctx, "the event log is complete again: changes are accepted")
	}
}

// Run checks the log every 5 seconds until ctx ends, and saves a mark of its last
// event. At the start and then every day it reads the whole log. It returns nil.
func (g *Guard) Run(ctx context.Context) error {
	var scrubbing sync.WaitGroup
	scrubbing.Go(func() { g.scrub(ctx) })
	defer scrubbing.Wait()
	failing := false
	for {
		err := g.once(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			g.Log.WarnContext(ctx, "checking the event log failed; retrying", slog.Any("err", err))
		}
		failing = err != nil
		if !streams.Wait(ctx, guardEvery) {
			return g.saveMark(ctx)
		}
	}
}

// saveMark saves a mark of the last event if there is a new one.
func (g *Guard) saveMark(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmAt)
	defer cancel()
	if err := g.Keep(ctx); err != nil {
		g.Log.WarnContext(ctx, "saving the mark of the last event failed", slog.Any("err", err))
	}
	return nil
}

func (g *Guard) once(ctx context.Context) error {
	i, err := g.Check(ctx)
	if err == nil && i.Limited {
		err = g.Store.endInterrupted(ctx)
	}
	if err != nil || !i.Whole() {
		return err
	}
	return g.Keep(ctx)
}

// Keep saves a mark of the last event, unless events are missing.
func (g *Guard) Keep(ctx context.Context) error {
	if g.Store.Intact() != nil {
		return nil
	}
	m, err := g.Store.Mark(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if m == g.Saved {
		return nil
	}
	if err := g.Save(m); err != nil {
		return err
	}
	g.Saved = m
	return nil
}

// scrub reads the whole log from time to time. It checks missing events a second time
// before it reports them.
func (g *Guard) scrub(ctx context.Context) {
	for {
		found, err := g.Store.Scrub(ctx, true, func(_, _ uint64) {})
		if err == nil && found.Missing > 0 {
			found, err = g.Store.Scrub(ctx, true, func(_, _ uint64) {})
		}
		next := scrubEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			g.Log.DebugContext(ctx, "scrubbing the event log failed; retrying", slog.Any("err", err))
			next = scrubAgain
		default:
			g.mu.Lock()
			g.scrubbed = found
			g.mu.Unlock()
		}
		if !streams.Wait(ctx, next) {
			return
		}
	}
}
