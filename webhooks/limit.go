package webhooks

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// Limits on concurrent deliveries.
const (
	maxPerDestination = 8
	maxPerWorkspace   = 64
	maxDeliveries     = 512 // of all workspaces
)

// permit allows one delivery: it holds a slot of its destination, one of its
// workspace and one of all.
type permit struct {
	*deliverer
	of   queueKey
	held []chan struct{}
}

// acquire waits for the permit, unless it is held already. It reports whether it is
// held; false means that ctx ended.
func (p *permit) acquire(ctx context.Context) bool {
	if len(p.held) > 0 {
		return ctx.Err() == nil
	}
	p.mu.Lock()
	slots := []chan struct{}{
		slotsOf(p.slots.destinations, p.of.destinationKey(), maxPerDestination), slotsOf(p.slots.workspaces, p.of.workspace, maxPerWorkspace), p.slots.all,
	}
	p.mu.Unlock()
	for _, slot := range slots {
		select {
		case slot <- struct{}{}:
			p.held = append(p.held, slot)
		case <-ctx.Done():
			p.release()
			return false
		}
	}
	return true
}

// release gives the slots back. A permit that is not held has none.
func (p *permit) release() {
	for _, slot := range p.held {
		<-slot
	}
	p.held = nil
}

// slots limit deliveries by destination, by workspace and in sum.
type slots struct {
	all          chan struct{}
	destinations map[string]chan struct{} // by destinationKey
	workspaces   map[domain.Workspace]chan struct{}
}

func newSlots() slots {
	return slots{
		all: make(chan struct{}, maxDeliveries), destinations: map[string]chan struct{}{}, workspaces: map[domain.Workspace]chan struct{}{},
	}
}

func slotsOf[K comparable](all map[K]chan struct{}, key K, limit int) chan struct{} {
	if all[key] == nil {
		all[key] = make(chan struct{}, limit)
	}
	return all[key]
}
