package signin

import (
	"context"
	"sync"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// singleFlight makes one request for all callers that want the same token. A caller
// whose context ends leaves alone; the request ends with its last caller, and after
// maxIssueTime at the latest. (x/sync/singleflight can't be left, and its call ends
// for all with the context of the first.)
type singleFlight struct {
	mu      sync.Mutex
	flights map[string]*flight
}

type flight struct {
	callers int
	cancel  context.CancelFunc
	done    chan struct{}
	token   token
	err     *callerror.Error
}

func newSingleFlight() *singleFlight { return &singleFlight{flights: map[string]*flight{}} }

// do waits for the running request for key, or starts it.
func (s *singleFlight) do(ctx context.Context, key string, fetch func(context.Context) (token, *callerror.Error)) (token, *callerror.Error) {
	if ctx.Err() != nil {
		e := callerror.Timeout(ctx)
		e.Unsent = true
		return token{}, ofTokenEndpoint(e)
	}
	f := s.join(ctx, key, fetch)
	defer s.leave(key, f)
	select {
	case <-f.done:
		if f.err != nil {
			own := *f.err // callers change theirs
			return token{}, &own
		}
		return f.token, nil
	case <-ctx.Done():
		return token{}, ofTokenEndpoint(callerror.Timeout(ctx))
	}
}

func (s *singleFlight) join(ctx context.Context, key string, fetch func(context.Context) (token, *callerror.Error)) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil {
		f.callers++
		return f
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), maxIssueTime, &callerror.Error{
		Code: domain.CallTimeout, Sentence: "The token endpoint had not answered after 10 seconds.",
	})
	f := &flight{callers: 1, cancel: cancel, done: make(chan struct{})}
	s.flights[key] = f
	go func() {
		f.token, f.err = fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.end(key, f)
		close(f.done)
	}()
	return f
}

func (s *singleFlight) leave(key string, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.callers--; f.callers == 0 {
		s.end(key, f)
	}
}

// end ends a flight, and makes sure that nobody joins it any more.
func (s *singleFlight) end(key string, f *flight) {
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	f.cancel()
}
