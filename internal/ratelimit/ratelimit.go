// Package ratelimit limits how often something is done by all processes together.
//
// Each process has a token bucket for each subject of a limit and decides with it alone: no request
// waits for another process. What it has taken it reports to the others a few times a second, and they
// take the same from theirs. Its promise: together they allow no more than the limit and what is
// taken within one report; a process that hears from no other limits by itself.
package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A Subject is who or what a limit is for: an API key, a workspace, a host.
type Subject struct {
	Kind string // of the limit, which has a rate
	Name string
}

// maxBuckets bounds the memory for buckets. Dropping all of them only allows every subject one
// more burst.
const maxBuckets = 100_000

// Limiter holds a token bucket for each subject. It is safe for concurrent use.
type Limiter struct {
	rates map[string]float64 // per second, by kind; 0: unlimited

	mu      sync.Mutex
	buckets map[Subject]*bucket
	taken   []*bucket // those with something to report
}

// bucket has twice the tokens of a second, for bursts.
type bucket struct {
	*rate.Limiter
	of    Subject
	taken atomic.Int64 // since the last report
}

// New returns a Limiter with a rate per second for each kind of limit.
func New(rates map[string]float64) *Limiter {
	return &Limiter{rates: rates, buckets: map[Subject]*bucket{}}
}

// State is what a limit has left.
type State struct {
	Burst     int
	PerSecond float64
	Left      float64 // negative: others took more
}

// Take takes one token, and reports whether there was one. Limited is false for a kind without a
// limit.
func (l *Limiter) Take(of Subject, now time.Time) (s State, allowed, limited bool) {
	perSecond := l.rates[of.Kind]
	if perSecond <= 0 {
		return State{}, true, false
	}
	b := l.bucket(of, perSecond)
	if allowed = b.AllowN(now, 1); allowed {
		l.report(b)
	}
	return State{b.Burst(), perSecond, b.TokensAt(now)}, allowed, true
}

// Wait waits for a token, for a time at most. It reports false when there is none until then.
func (l *Limiter) Wait(ctx context.Context, of Subject, now time.Time, most time.Duration) bool {
	perSecond := l.rates[of.Kind]
	if perSecond <= 0 {
		return true
	}
	b := l.bucket(of, perSecond)
	r := b.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > most {
		r.CancelAt(now)
		return false
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			r.CancelAt(now.Add(wait - 1)) // while it is not over: the token goes back
			return false
		}
	}
	l.report(b)
	return true
}

func (l *Limiter) bucket(of Subject, perSecond float64) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[of]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			clear(l.buckets)
		}
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(perSecond), max(int(2*perSecond), 1)), of: of}
		l.buckets[of] = b
	}
	return b
}

// report notes that a token of b was taken.
func (l *Limiter) report(b *bucket) {
	if b.taken.Add(1) == 1 {
		l.mu.Lock()
		if len(l.taken) < maxBuckets {
			l.taken = append(l.taken, b)
		}
		l.mu.Unlock()
	}
}

// A Use is what one process has taken.
type Use struct {
	Kind  string `json:"k"`
	Name  string `json:"n"`
	Taken int    `json:"t"`
}

// Uses returns what was taken here since the last call.
func (l *Limiter) Uses() []Use {
	l.mu.Lock()
	taken := l.taken
	l.taken = nil
	l.mu.Unlock()
	all := make([]Use, 0, len(taken))
	for _, b := range taken {
		all = append(all, Use{b.of.Kind, b.of.Name, int(b.taken.Swap(0))})
	}
	return all
}

// Spend takes what another process has taken. A bucket owes a burst at most, so that no report,
// however wrong, stops a subject for longer than that takes to fill.
func (l *Limiter) Spend(uses []Use, now time.Time) {
	for _, u := range uses {
		perSecond := l.rates[u.Kind]
		if perSecond <= 0 || u.Taken <= 0 {
			continue
		}
		b := l.bucket(Subject{u.Kind, u.Name}, perSecond)
		owes := b.TokensAt(now) + float64(b.Burst())
		if n := min(u.Taken, b.Burst(), int(owes)); n > 0 {
			b.ReserveN(now, n)
		}
	}
}
