package webhooks

import (
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// How many events may wait in memory. A workspace with more reads the rest from
// the log itself, so that it delays no other.
const (
	maxWaitingEach = 256  // of one workspace
	maxWaiting     = 4096 // of all
)

// dispatcher reads one log and enqueues a delivery for every destination that
// wants an event: those of one workspace in the order of the log, those of
// several at once.
type dispatcher struct {
	*Webhooks
	topic
	working sync.WaitGroup
	dirty   chan struct{} // asks for a checkpoint

	mu       sync.Mutex
	log      string                           // the identity of the log that is read
	read     uint64                           // every event up to here was seen
	queues   map[domain.Workspace]*eventQueue // of the workspaces with events that are not dispatched yet
	waiting  int                              // events in all queues
	progress time.Time                        // when something was dispatched last, or nothing was left to dispatch
	skips    map[uint64]int                   // how often events were missing after a position
}

// eventQueue holds the events of a workspace that are to be dispatched.
type eventQueue struct {
	workspace domain.Workspace
	events    []eventstore.Commit
	done      uint64 // every event of the workspace up to here is dispatched
	until     uint64 // later than done: the events between are read from the log
	last      uint64 // the last event of the workspace that was seen
}

func newDispatcher(w *Webhooks, t topic) *dispatcher {
	return &dispatcher{
		Webhooks: w, topic: t, dirty: make(chan struct{}, 1), queues: map[domain.Workspace]*eventQueue{}, skips: map[uint64]int{},
	}
}

// mark asks for a checkpoint. The lock is held.
func (d *dispatcher) mark() {
	select {
	case d.dirty <- struct{}{}:
	default:
	}
}
