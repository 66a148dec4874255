package webhooks

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// How many webhooks are delivered at once.
const (
	atOnceEach      = 8   // to one destination
	atOnceWorkspace = 64  // to those of one workspace
	atOnceAll       = 512 // to all
)

// turn is what a delivery holds while it is being made: a slot of its destination,
// one of its workspace and one of all.
type turn struct {
	*deliverer
	in   lane
	held []chan struct{}
}

// enter waits for the turn, unless it is held already. It reports whether it is
// held, or false when ctx ended.
func (t *turn) enter(ctx context.Context) bool {
	if len(t.held) > 0 {
		return ctx.Err() == nil
	}
	t.mu.Lock()
	slots := []chan struct{}{slotsOf(t.each, t.in.key(), atOnceEach), slotsOf(t.workspaces, t.in.workspace, atOnceWorkspace), t.all}
	t.mu.Unlock()
	for _, slot := range slots {
		select {
		case slot <- struct{}{}:
			t.held = append(t.held, slot)
		case <-ctx.Done():
			t.leave()
			return false
		}
	}
	return true
}

// leave ends the turn.
func (t *turn) leave() {
	for _, slot := range t.held {
		<-slot
	}
	t.held = nil
}

// slots of each destination and workspace.
type slots struct {
	all        chan struct{}
	each       map[string]chan struct{} // by the key of a destination
	workspaces map[domain.Workspace]chan struct{}
}

func newSlots() slots {
	return slots{all: make(chan struct{}, atOnceAll), each: map[string]chan struct{}{}, workspaces: map[domain.Workspace]chan struct{}{}}
}

func slotsOf[K comparable](all map[K]chan struct{}, of K, atOnce int) chan struct{} {
	if all[of] == nil {
		all[of] = make(chan struct{}, atOnce)
	}
	return all[of]
}
