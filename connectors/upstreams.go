package connectors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/seed677028b5/integrations/domain"
)

const (
	mostUnderWay  = 64               // calls to one upstream at once, for each workspace
	mostQueued    = 256              // that wait for one of these to end
	queuedFor     = 2 * time.Second  // at most
	failuresToRun = 10               // in a row, until invocations pause
	pauseFor      = 10 * time.Second // then one is let through to see
	mostUpstreams = 10_000           // remembered; what is idle is forgotten first
)

// upstreams knows, for each workspace and origin, how many calls are under way
// and how the last ones went, so that an upstream that hangs or fails costs its
// own callers only.
type upstreams struct {
	mu  sync.Mutex
	all map[upstreamOf]*upstreamState
}

type upstreamOf struct {
	workspace domain.Workspace
	origin    string // of a program: its profile and arguments
}

type upstreamState struct {
	slots   chan struct{}
	queue   chan struct{} // of those who wait for a slot
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newUpstreams() *upstreams { return &upstreams{all: map[upstreamOf]*upstreamState{}} }

// of returns the state of the upstream that a workspace calls at target.
func (u *upstreams) of(w domain.Workspace, target *url.URL) *upstreamState {
	key := upstreamOf{w, cmp.Or(domain.Origin(target.String()), target.String())}
	u.mu.Lock()
	defer u.mu.Unlock()
	state := u.all[key]
	if state != nil {
		return state
	}
	if len(u.all) >= mostUpstreams {
		for k, s := range u.all {
			if len(s.slots) == 0 {
				delete(u.all, k)
			}
		}
	}
	state = &upstreamState{
		slots: make(chan struct{}, mostUnderWay), queue: make(chan struct{}, mostQueued),
		breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     pauseFor,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToRun },
		}),
	}
	u.all[key] = state
	return state
}

// enter asks to make one attempt. An invocation is refused while the upstream
// keeps failing; a test never is, since it is made to see what happens. The
// function that is returned says how the attempt went.
func (s *upstreamState) enter(ctx context.Context, invocation bool) (leave func(answer, *fault), f *fault) {
	if !s.slot(ctx) {
		return nil, &fault{
			code: domain.CallUnreachable, final: true, unsent: true,
			sentence: fmt.Sprintf("The upstream has %d calls of this workspace to answer already; try again when it has answered some.", mostUnderWay),
		}
	}
	done := func(error) {}
	if invocation {
		var err error
		if done, err = s.breaker.Allow(); err != nil {
			<-s.slots
			return nil, &fault{
				code: domain.CallUnreachable, final: true,
				sentence: fmt.Sprintf("The upstream failed %d times in a row, so calls to it pause for up to %s.", failuresToRun, pauseFor),
			}
		}
	}
	return func(got answer, f *fault) {
		<-s.slots
		done(broken(got, f))
	}, nil
}

// slot waits for a slot, for a while: many calls may come at once, as after they all
// waited for one token.
func (s *upstreamState) slot(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return false
	}
	patience := time.NewTimer(queuedFor)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

// errBroken is what the breaker is told of an upstream that doesn't work.
var errBroken = errors.New("the upstream does not work")

// attempt is once for a request that counts against its upstream.
func (o *outbound) attempt(ctx context.Context, out *outgoing) (answer, *fault) {
	if out.to == nil {
		return o.once(ctx, out)
	}
	leave, f := out.to.enter(ctx, out.invocation)
	if f != nil {
		return answer{}, f
	}
	got, f := o.once(ctx, out)
	if errors.Is(ctx.Err(), context.Canceled) { // whoever asked has gone, which says nothing of the upstream
		leave(answer{}, nil)
	} else {
		leave(got, f)
	}
	return got, f
}

// broken is errBroken when an attempt says that the upstream itself, and not
// what it was asked, is at fault.
func broken(got answer, f *fault) error {
	switch {
	case f != nil && (f.code == domain.CallUnreachable || f.code == domain.CallTimeout || f.code == domain.CallSSLError):
		return errBroken
	case got.status == 502 || got.status == 503 || got.status == 504:
		return errBroken
	}
	return nil
}
