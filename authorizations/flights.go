package authorizations

import (
	"context"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// result is what a refresh led to.
type result struct {
	grant grant // as it is after it
	err   error
}

// flights makes one refresh of this process at a time for each authorization.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

type flight struct {
	done chan struct{}
	result
}

// begin starts a refresh unless one is running.
func (f *flights) begin(of string, refresh func() result) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.running[of]; one != nil {
		return one
	}
	one := &flight{done: make(chan struct{})}
	f.running[of] = one
	go func() {
		one.result = refresh()
		f.mu.Lock()
		delete(f.running, of)
		f.mu.Unlock()
		close(one.done)
	}()
	return one
}

// wait waits for a refresh, or until ctx ends.
func (f *flights) wait(ctx context.Context, of string, refresh func() result) (grant, error) {
	one := f.begin(of, refresh)
	select {
	case <-one.done:
		return one.grant, one.err
	case <-ctx.Done():
		return grant{}, domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "the token was not renewed in time; try again")
	}
}
