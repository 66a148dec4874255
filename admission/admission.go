// Package admission bounds what all requests hold in memory together. What one
// request may hold is bounded where it is read; that says nothing of a thousand.
//
// Its promise: whoever does not fit is told so within their time, and whoever was
// let in never waits for one who was let in later.
package admission

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed677028b5/integrations/domain"
)

const (
	// Patience is how long a request that has done nothing yet waits to be let in.
	Patience = time.Second

	// FreeBytes is how much of a text each request may hold without being counted.
	FreeBytes = 64 << 10

	slotMemory = 512 << 10 // of a call that is let in, for all that is not counted
	minSlots   = 64
)

// Gate lets requests in. What it has is taken in one order, and each once, so that
// no two wait for each other: room for what the caller sent, a place for a call,
// room for a long text, room for the values of an answer, room for what is written
// of it. A nil Gate lets everybody in.
type Gate struct {
	requests, calls, texts, answers, writing pool
}

type pool struct {
	free *semaphore.Weighted
	size int64
}

func newPool(size int64) pool { return pool{semaphore.NewWeighted(size), size} }

// New returns a gate for a service that may use so many bytes of memory. Half of
// them are for the service itself, and for what the collector has not come to yet.
func New(memory int64) *Gate {
	return &Gate{
		requests: newPool(max(memory/8, 1)),
		calls:    newPool(max(memory/slotMemory, minSlots)),
		texts:    newPool(max(memory/8, 1)),
		answers:  newPool(max(memory/4, 1)),
		writing:  newPool(max(memory/8, 1)),
	}
}

// lease is what one request holds until it is over.
type lease struct {
	gate *Gate

	mu   sync.Mutex
	over bool
	has  map[*semaphore.Weighted]bool
	held []func()
}

type leaseKey struct{}

// Open returns a context for a request, with which it takes what it needs, and a
// function that gives all of it back. Within a request that is open already it
// changes nothing.
func (g *Gate) Open(ctx context.Context) (context.Context, func()) {
	if g == nil || of(ctx) != nil {
		return ctx, func() {}
	}
	l := &lease{gate: g, has: map[*semaphore.Weighted]bool{}}
	return context.WithValue(ctx, leaseKey{}, l), l.end
}

func of(ctx context.Context) *lease {
	l, _ := ctx.Value(leaseKey{}).(*lease)
	return l
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, give := range l.held {
		give()
	}
	l.held = nil
}

// hold notes what was taken, or gives it back when the request is over.
func (l *lease) hold(give func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		give()
		return
	}
	l.held = append(l.held, give)
}

// Request takes room for what a caller sent, and for what it is decoded to.
func Request(ctx context.Context, text []byte) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.requests }, int64(len(text))+Weight(text))
}

// Call takes a place for a call of an upstream.
func Call(ctx context.Context) error {
	return of(ctx).take(ctx, func(g *Gate) pool { return g.calls }, 1)
}

// Text takes room for a text of at most so many bytes.
func Text(ctx context.Context, most int) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.texts }, int64(most))
}

// Answer takes room for so many bytes of an answer's values.
func Answer(ctx context.Context, size int64) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.answers }, size)
}

// Writing takes room for an answer of so many bytes, which is in memory whole while
// it is written.
func Writing(ctx context.Context, size int64) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.writing }, size)
}

// room is take for what is not too small to be counted.
func (l *lease) room(ctx context.Context, which func(*Gate) pool, size int64) error {
	if size <= FreeBytes {
		return nil
	}
	return l.take(ctx, which, size)
}

// take waits until ctx is done. What is larger than all there is takes all of it.
func (l *lease) take(ctx context.Context, which func(*Gate) pool, n int64) error {
	if l == nil {
		return nil
	}
	from := which(l.gate)
	l.mu.Lock()
	had := l.has[from.free]
	l.has[from.free] = true
	l.mu.Unlock()
	if had {
		return nil
	}
	n = min(n, from.size)
	if err := from.free.Acquire(ctx, n); err != nil {
		return domain.Because(fmt.Errorf("wait for memory: %w", err), domain.Unavailable, "overloaded",
			"the service holds as much as its memory takes just now; try again")
	}
	l.hold(func() { from.free.Release(n) })
	return nil
}

// Weight is about how many bytes a text of JSON takes once it is decoded.
func Weight(text []byte) int64 {
	const empty, object, member, element, array = 64, 360, 64, 24, 48 // a map has room for eight members
	size := int64(2 * len(text))
	for n, b := range text {
		switch b {
		case '{':
			if n+1 < len(text) && text[n+1] == '}' {
				size += empty
			} else {
				size += object
			}
		case ':':
			size += member
		case ',':
			size += element
		case '[':
			size += array
		}
	}
	return size
}
