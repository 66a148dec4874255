package projections

import (
	"context"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// progress is a position that can be waited for. The zero value is position zero.
type progress struct {
	mu       sync.Mutex
	position uint64
	moved    chan struct{} // closed at the next move; nil when nobody waits
	wanted   func()        // called when somebody waits; may be nil
}

// Position returns the position up to which the log of integrations is applied.
func (p *progress) Position() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position
}

// Wait returns once everything up to position is shown. If ctx ends first, the error is
// Unavailable with the code projection_behind.
func (p *progress) Wait(ctx context.Context, position uint64) error {
	for {
		moved := p.behind(position)
		if moved == nil {
			return nil
		}
		if p.wanted != nil {
			p.wanted()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return domain.Wrap(ctx.Err(), domain.Unavailable, "projection_behind",
				"the read model has not reached that position yet; try again")
		}
	}
}

// behind returns nil when position is reached, else a channel that is closed at the next move.
// All waiters share it.
func (p *progress) behind(position uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.position >= position {
		return nil
	}
	if p.moved == nil {
		p.moved = make(chan struct{})
	}
	return p.moved
}

// advance is move that never goes back.
func (p *progress) advance(to uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to > p.position {
		p.set(to)
	}
}

func (p *progress) move(to uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(to)
}

func (p *progress) set(to uint64) {
	p.position = to
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}
