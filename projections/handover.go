package projections

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/seed677028b5/integrations/eventstore"
)

// handover applies the log of integrations to a store. What this process has appended is
// applied at once, if it is next: its tail of the log then finds it done. Everything else,
// and what fails, is left to the tail.
type handover struct {
	projector *Projector
	ctx       context.Context

	applying sync.Mutex // is held while a batch is applied

	mu      sync.Mutex
	at      uint64                       // the position that the store was left at
	waiting map[uint64]eventstore.Commit // what was handed over and is after that, by position
	running bool                         // run runs
	runs    sync.WaitGroup
}

// maxWaiting bounds what waits for an event that another process appended.
const maxWaiting = 256

// follow applies the log until something fails. Nothing is applied afterwards.
func (h *handover) follow(log iter.Seq2[[]eventstore.Commit, error]) error {
	defer h.runs.Wait()
	defer h.projector.Events.OnAppend(h.take)()
	for commits, err := range log {
		if err != nil {
			return err
		}
		if err := h.catchUp(commits); err != nil {
			return err
		}
	}
	return fmt.Errorf("the log ended: %w", context.Cause(h.ctx))
}

// catchUp applies the events of the log that are not applied yet.
func (h *handover) catchUp(commits []eventstore.Commit) error {
	h.applying.Lock()
	defer h.applying.Unlock()
	at := h.position()
	for len(commits) > 0 && commits[0].Position <= at {
		commits = commits[1:]
	}
	if len(commits) == 0 {
		return nil
	}
	return h.apply(commits)
}

// take implements eventstore.OnAppend.
func (h *handover) take(commits []eventstore.Commit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range commits {
		if c.Position > h.at && len(h.waiting) < maxWaiting {
			h.waiting[c.Position] = c
		}
	}
	if _, next := h.waiting[h.at+1]; next && !h.running {
		h.running = true
		h.runs.Go(h.run)
	}
}

// run applies what was handed over and is next, until nothing is.
func (h *handover) run() {
	for commits := h.next(); len(commits) > 0; commits = h.next() {
		if h.catchUp(commits) != nil { // the tail meets it too
			h.mu.Lock()
			clear(h.waiting)
			h.mu.Unlock()
		}
	}
}

// next returns what was handed over and is next. When it returns nothing, run has ended.
func (h *handover) next() (commits []eventstore.Commit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, next := h.waiting[h.at+1]; next; c, next = h.waiting[c.Position+1] {
		commits = append(commits, c)
	}
	h.running = len(commits) > 0
	return commits
}

func (h *handover) position() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// apply applies events on the condition that the store is where the previous ones left it.
func (h *handover) apply(commits []eventstore.Commit) error {
	reached, err := h.projector.applyAfter(h.ctx, Positions{Integrations: h.position()}, commits, fold)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = reached.Integrations
	for position := range h.waiting {
		if position <= h.at {
			delete(h.waiting, position)
		}
	}
	return nil
}
