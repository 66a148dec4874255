package webhooks

import (
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// deliverer delivers pending webhooks: those of one integration to one destination
// in order, all others concurrently.
type deliverer struct {
	*Webhooks
	started time.Time
	working sync.WaitGroup

	slots    slots
	mu       sync.Mutex
	known    map[uint64]time.Time           // the webhooks in all queues: when each was stored, by sequence
	furthest uint64                         // the last sequence that was read
	waiting  map[queueKey][]uint64          // sequences behind the one in delivery; no entry: none is in delivery
	earlier  map[string]map[string]Delivery // the last attempt at each webhook before this process took over, by destination
	reading  singleflight.Group             // of earlier
	removal  removal

	settlements chan settlement
	noting      chan struct{} // limits concurrent writes to the delivery log
}

func newDeliverer(w *Webhooks) *deliverer {
	return &deliverer{
		Webhooks: w, started: w.config.Now(), slots: newSlots(), known: map[uint64]time.Time{}, waiting: map[queueKey][]uint64{},
		earlier: map[string]map[string]Delivery{}, removal: removal{settled: map[uint64]time.Time{}},
		settlements: make(chan settlement), noting: make(chan struct{}, maxPerWorkspace),
	}
}

// settlement is a webhook to settle, and where the outcome goes.
type settlement struct {
	sequence uint64
	outcome  chan error
}

// removal holds what can be removed from the stream of pending webhooks: settled
// webhooks and settlements. It is guarded by the deliverer's lock.
type removal struct {
	settled map[uint64]time.Time // when each was stored, which identifies it; zero: it was not read yet
	low     uint64               // the low watermark: up to here nothing is pending
	heldUp  uint64               // the pending webhook above it at the last pass
}
