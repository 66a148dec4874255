// Package upstream decides when an upstream is called, and how often.
//
// Its promise: an upstream that hangs or fails costs its own callers only, and a
// request is sent again only when that is safe.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

const (
	// MaxConcurrent limits the calls to one upstream at once, for each workspace, by default.
	MaxConcurrent = 64
	// MaxFailures is how many failures in a row pause invocations.
	MaxFailures = 10

	maxQueued    = 256              // calls that wait for one of these to end
	maxQueueWait = 2 * time.Second  // of each of them
	pause        = 10 * time.Second // then one is let through as a trial
	maxLimits    = 10_000           // that are remembered; idle ones are forgotten first
)

// Registry knows, for each workspace and origin, how many calls are running and how
// the last ones ended. It is safe for concurrent use.
type Registry struct {
	mu     sync.Mutex
	limits map[key]*Limit
	pauses atomic.Uint64

	concurrent int
	pace       Pace
}

// Pace waits until a request may be sent to a host. It reports false when that takes too long.
type Pace func(ctx context.Context, host string) bool

type key struct {
	workspace domain.Workspace
	origin    string // of a program: its profile and arguments
}

// Limit bounds the calls of one workspace to one upstream. A nil Limit bounds nothing.
type Limit struct {
	slots   chan struct{}
	queue   chan struct{} // calls that wait for a slot
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	host    string
	pace    Pace // nil: at once
}

// NewRegistry returns an empty Registry. Concurrent limits the calls to one upstream at once, for
// each workspace; 0: MaxConcurrent. A nil pace is no limit.
func NewRegistry(concurrent int, pace Pace) *Registry {
	return &Registry{limits: map[key]*Limit{}, concurrent: cmp.Or(concurrent, MaxConcurrent), pace: pace}
}

// Limit returns the limit of the upstream that a workspace calls at target.
func (r *Registry) Limit(w domain.Workspace, target *url.URL) *Limit {
	k := key{w, cmp.Or(domain.Origin(target.String()), target.String())}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.limits[k]; l != nil {
		return l
	}
	if len(r.limits) >= maxLimits {
		for k, l := range r.limits {
			if len(l.slots) == 0 {
				delete(r.limits, k)
			}
		}
	}
	l := &Limit{
		host: target.Hostname(), pace: r.pace,
		slots: make(chan struct{}, r.concurrent), queue: make(chan struct{}, maxQueued),
		breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     pause,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= MaxFailures },
			OnStateChange: func(_ string, _, to gobreaker.State) {
				if to == gobreaker.StateOpen {
					r.pauses.Add(1)
				}
			},
		}),
	}
	r.limits[k] = l
	return l
}

// Pauses returns how often invocations of an upstream were paused, because it kept failing.
func (r *Registry) Pauses() uint64 { return r.pauses.Load() }

// Do runs attempt once there is a slot for it, and returns its error. An invocation
// is refused while the upstream keeps failing; a test never is, since it is made to
// see what happens.
func (l *Limit) Do(ctx context.Context, invocation bool, attempt func() (status int, e *callerror.Error)) *callerror.Error {
	if l == nil {
		_, e := attempt()
		return e
	}
	if !l.acquire(ctx) {
		return &callerror.Error{
			Code: domain.CallUnreachable, Final: true, Unsent: true,
			Sentence: fmt.Sprintf("The upstream has %d calls of this workspace to answer already; try again when it has answered some.", cap(l.slots)),
		}
	}
	defer func() { <-l.slots }()
	if l.pace != nil && l.host != "" && !l.pace(ctx, l.host) {
		return &callerror.Error{
			Code: domain.CallUnreachable, Final: true, Unsent: true,
			Sentence: "This service sends as many requests to that host as its operator allows; try again later.",
		}
	}
	done := func(error) {}
	if invocation {
		var err error
		if done, err = l.breaker.Allow(); err != nil {
			return &callerror.Error{
				Code: domain.CallUnreachable, Final: true,
				Sentence: fmt.Sprintf("The upstream failed %d times in a row, so calls to it pause for up to %s.", MaxFailures, pause),
			}
		}
	}
	status, e := attempt()
	if errors.Is(ctx.Err(), context.Canceled) { // the caller has gone, which is not the fault of the upstream
		done(nil)
	} else {
		done(failure(status, e))
	}
	return e
}

// acquire waits for a slot, for a while: many calls may arrive at once, as after they
// all waited for one token.
func (l *Limit) acquire(ctx context.Context) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case l.queue <- struct{}{}:
		defer func() { <-l.queue }()
	default:
		return false
	}
	wait := time.NewTimer(maxQueueWait)
	defer wait.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-wait.C:
	case <-ctx.Done():
	}
	return false
}

var errFailed = errors.New("the upstream does not work")

// failure returns errFailed when an attempt shows that the upstream itself, and not
// the request, is at fault.
func failure(status int, e *callerror.Error) error {
	switch {
	case e != nil && (e.Code == domain.CallUnreachable || e.Code == domain.CallTimeout || e.Code == domain.CallSSLError):
		return errFailed
	case status == 502 || status == 503 || status == 504:
		return errFailed
	}
	return nil
}
