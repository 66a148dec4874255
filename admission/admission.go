// Package admission bounds the memory that all requests hold together. The limits of a
// single request don't bound a thousand of them.
//
// A request that doesn't fit is refused within its time, and an admitted request never
// waits for one that was admitted later.
package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seed677028b5/integrations/domain"
)

const (
	// Patience is how long a new request waits to be admitted.
	Patience = time.Second

	// FreeBytes is how much of a text each request may hold without being counted.
	FreeBytes = 64 << 10

	slotMemory = 512 << 10 // of an admitted call, for everything that isn't counted
	minSlots   = 64
)

// Gate admits requests. Each pool is acquired at most once, and in a fixed order, so that
// requests can't deadlock: memory for the request, a slot for a call, memory for a long
// text, for the decoded response, and for the encoded response. A nil Gate admits
// everything.
type Gate struct {
	requests, calls, texts, answers, writing pool
}

type pool struct {
	free    *semaphore.Weighted
	size    int64
	refused *atomic.Uint64
}

func newPool(size int64) pool { return pool{semaphore.NewWeighted(size), size, new(atomic.Uint64)} }

// New returns a gate for a service with so many bytes of memory. Half of them are reserved
// for the service itself and for garbage.
func New(memory int64) *Gate {
	return &Gate{
		requests: newPool(max(memory/8, 1)),
		calls:    newPool(max(memory/slotMemory, minSlots)),
		texts:    newPool(max(memory/8, 1)),
		answers:  newPool(max(memory/4, 1)),
		writing:  newPool(max(memory/8, 1)),
	}
}

// Refused returns how many requests of this process got nothing from each pool in time.
func (g *Gate) Refused() map[string]uint64 {
	return map[string]uint64{
		"requests": g.requests.refused.Load(), "calls": g.calls.refused.Load(), "texts": g.texts.refused.Load(),
		"answers": g.answers.refused.Load(), "writing": g.writing.refused.Load(),
	}
}

// lease holds what one request has acquired.
type lease struct {
	gate *Gate

	mu   sync.Mutex
	over bool
	has  map[*semaphore.Weighted]bool
	held []func()
}

type leaseKey struct{}

// Open returns a context with which a request acquires resources, and a function that
// releases all of them. Inside an open request it does nothing.
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

// hold records a release function, or calls it if the request is over.
func (l *lease) hold(give func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		give()
		return
	}
	l.held = append(l.held, give)
}

// Request acquires memory for a request and its decoded form.
func Request(ctx context.Context, text []byte) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.requests }, int64(len(text))+Weight(text))
}

// Call acquires a slot for a call to an upstream.
func Call(ctx context.Context) error {
	return of(ctx).take(ctx, func(g *Gate) pool { return g.calls }, 1)
}

// Text acquires memory for a text of up to size bytes.
func Text(ctx context.Context, size int) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.texts }, int64(size))
}

// Answer acquires memory for size bytes of decoded response.
func Answer(ctx context.Context, size int64) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.answers }, size)
}

// Writing acquires memory for an encoded response of size bytes, which is in memory while
// it is written.
func Writing(ctx context.Context, size int64) error {
	return of(ctx).room(ctx, func(g *Gate) pool { return g.writing }, size)
}

// room is take for sizes above FreeBytes.
func (l *lease) room(ctx context.Context, which func(*Gate) pool, size int64) error {
	if size <= FreeBytes {
		return nil
	}
	return l.take(ctx, which, size)
}

// take waits until ctx is done. A request larger than the pool acquires all of it.
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
		if errors.Is(err, context.DeadlineExceeded) { // otherwise the caller has gone
			from.refused.Add(1)
		}
		return domain.Wrap(fmt.Errorf("wait for memory: %w", err), domain.Unavailable, "overloaded",
			"the service has no memory left for this request; try again")
	}
	l.hold(func() { from.free.Release(n) })
	return nil
}

// Weight estimates how many bytes a JSON text takes once it is decoded.
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
