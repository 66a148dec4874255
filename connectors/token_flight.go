package connectors

import (
	"context"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// flights makes one request for many who want the same token. Whoever's time is
// over leaves alone; the request ends with the last of them, and after
// longestMint at the latest. (singleflight has no way to leave, and its call
// ends for all with the context of the first.)
type flights struct {
	mu sync.Mutex
	up map[string]*flight
}

type flight struct {
	waiting int
	cancel  context.CancelFunc
	landed  chan struct{}
	got     token
	failed  *fault
}

func newFlights() *flights { return &flights{up: map[string]*flight{}} }

// join waits for the request for key that is under way, or starts it.
func (f *flights) join(ctx context.Context, key string, mint func(context.Context) (token, *fault)) (token, *fault) {
	if ctx.Err() != nil {
		return token{}, ofTokenEndpoint(&fault{code: domain.CallTimeout, sentence: late(ctx), unsent: true})
	}
	joined := f.board(ctx, key, mint)
	defer f.leave(key, joined)
	select {
	case <-joined.landed:
		if joined.failed != nil {
			own := *joined.failed // each caller adds to its own
			return token{}, &own
		}
		return joined.got, nil
	case <-ctx.Done():
		return token{}, ofTokenEndpoint(&fault{code: domain.CallTimeout, sentence: late(ctx)})
	}
}

func (f *flights) board(ctx context.Context, key string, mint func(context.Context) (token, *fault)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if up := f.up[key]; up != nil {
		up.waiting++
		return up
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), longestMint, &fault{
		code: domain.CallTimeout, sentence: "The token endpoint had not answered after 10 seconds.",
	})
	started := &flight{waiting: 1, cancel: cancel, landed: make(chan struct{})}
	f.up[key] = started
	go func() {
		started.got, started.failed = mint(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.end(key, started)
		close(started.landed)
	}()
	return started
}

func (f *flights) leave(key string, joined *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if joined.waiting--; joined.waiting == 0 {
		f.end(key, joined)
	}
}

// end makes sure that nobody joins a flight any more, and that it ends.
func (f *flights) end(key string, ending *flight) {
	if f.up[key] == ending {
		delete(f.up, key)
	}
	ending.cancel()
}
