// Package webhooks sends the events of integrations to other systems, in the format
// of Standard Webhooks.
//
// Its one promise: what a destination wants is delivered to it at least once,
// and for each integration in order, however often the destination, this service
// or the network fails within a day; what could not be is kept as a dead letter.
// A destination that is slow or broken costs itself only.
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// Config holds the dependencies, limits and delays of webhooks.
type Config struct {
	Events   *eventstore.Store
	Key      []byte                                      // what the signing secrets are derived from
	Send     func(*http.Request) (*http.Response, error) // the egress client; the text of an error is for the caller
	Show     func(eventstore.Commit) ([]byte, error)     // the data of a change, as JSON
	Replicas int                                         // copies of each stream in a cluster; default 1
	First    time.Duration                               // the wait after a first failure; it doubles from there. Default 5 s
	Longest  time.Duration                               // the longest wait, Retry-After included; default 1 h
	GiveUp   time.Duration                               // how old a delivery becomes before it is a dead letter; default 24 h
	Timeout  time.Duration                               // of one attempt; default 15 s
	Compare  time.Duration                               // how often what is pending is compared with what is being delivered; default 5 s
	Spread   func() float64                              // from 0 to 1, spreads attempts; default: at random
	NewID    func() string
	Now      func() time.Time
	Log      *slog.Logger
	Traces   tracing.Tracer // default: nothing is traced
}

const (
	bucketName    = "WEBHOOK_DESTINATIONS"
	pendingName   = "WEBHOOKS"
	pendingPrefix = "webhooks."
	logName       = "WEBHOOK_DELIVERIES"
	logPrefix     = "deliveries."
	deadName      = "WEBHOOK_DEAD"
	deadPrefix    = "webhookdead."
	requestTime   = 5 * time.Second // for one request to NATS
)

// Webhooks keeps the destinations of all workspaces and delivers to them.
type Webhooks struct {
	config  Config
	nc      *nats.Conn
	js      jetstream.JetStream
	kv      jetstream.KeyValue
	bucket  jetstream.Stream // behind kv
	pending jetstream.Stream
	dead    jetstream.Stream
	batches bool // whether pending takes batches

	making       sync.Mutex // destinations one after the other, so that each is counted before the next
	mu           sync.RWMutex
	destinations directory
	learning     directory     // what the bucket holds, while it is read from its beginning; else nil
	seen         uint64        // the revision up to which all are known
	changed      chan struct{} // closed at the next change, and replaced

	counts [3]atomic.Uint64 // of attempts, by the order of Statuses
}

// Pending returns how many deliveries are still to be made, and since when the
// oldest is: zero when there is none.
func (w *Webhooks) Pending(ctx context.Context) (count uint64, oldest time.Time, err error) {
	return pendingIn(ctx, w.js)
}

// PendingOn is Pending for a program that only looks, and nothing when there is no
// stream of deliveries yet.
func PendingOn(ctx context.Context, nc *nats.Conn) (count uint64, oldest time.Time, err error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, time.Time{}, unavailable(err, "count webhooks")
	}
	count, oldest, err = pendingIn(ctx, js)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = nil
	}
	return count, oldest, err
}

// DeadLetters returns how many webhooks could not be delivered, and were not sent again.
func (w *Webhooks) DeadLetters(ctx context.Context) (uint64, error) {
	stream, err := w.js.Stream(ctx, deadName)
	if err != nil {
		return 0, unavailable(err, "count dead webhooks")
	}
	return stream.CachedInfo().State.Msgs, nil
}

func pendingIn(ctx context.Context, js jetstream.JetStream) (count uint64, oldest time.Time, err error) {
	stream, err := js.Stream(ctx, pendingName) // a fresh handle: Info would write to a shared one
	if err != nil {
		return 0, time.Time{}, unavailable(err, "count webhooks")
	}
	state := stream.CachedInfo().State
	if state.Msgs > 0 {
		oldest = state.FirstTime
	}
	return state.Msgs, oldest, nil
}

// pause returns how long to wait after a number of failed attempts at a webhook:
// twice as long each time, give or take a tenth.
func (w *Webhooks) pause(attempts int) time.Duration {
	wait := w.config.First
	for n := 1; n < attempts && wait < w.config.Longest; n++ {
		wait *= 2
	}
	wait = min(wait, w.config.Longest)
	return min(wait+time.Duration((w.config.Spread()-0.5)*float64(wait)/5), w.config.Longest)
}

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "webhooks_unavailable", "the webhooks can't be reached just now; try again")
}
