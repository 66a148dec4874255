package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// entry is a destination as it was stored at a revision; one without an id was
// deleted there.
type entry struct {
	destination domain.WebhookDestination
	revision    uint64
}

func (e entry) exists() bool { return e.destination.ID != "" }

// follow learns every destination, then goes on in the background until ctx
// ends. After NATS was away it starts again at once: the watch would take up to
// half a minute to notice.
func (w *Webhooks) follow(ctx context.Context) error {
	connected := w.nc.StatusChanged(nats.CONNECTED)
	if err := w.watch(ctx, connected, true); err != nil {
		w.nc.RemoveStatusListener(connected)
		return err
	}
	go func() {
		defer w.nc.RemoveStatusListener(connected)
		for ctx.Err() == nil && !w.nc.IsClosed() {
			if err := w.watch(ctx, connected, false); err != nil && ctx.Err() == nil {
				w.config.Log.WarnContext(ctx, "webhook destinations are not kept current; trying again", slog.Any("err", err))
				sleep(ctx, time.Second)
			}
		}
	}()
	return nil
}

// watch learns what is in the bucket, and unless only that was asked, what comes
// until the watch ends or NATS was away.
func (w *Webhooks) watch(ctx context.Context, connected <-chan nats.Status, once bool) error {
	last, err := w.lastRevision(ctx)
	if err != nil {
		return err
	}
	watch, err := w.kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer watch.Stop() //nolint:errcheck // what it holds at a server that is gone is gone with it
	for {
		select {
		case e, more := <-watch.Updates():
			switch {
			case !more:
				return ctx.Err()
			case e == nil: // all that was there has come
				w.sawUpTo(last)
				if once {
					return nil
				}
				continue
			}
			if err := w.learn(e); err != nil {
				w.config.Log.ErrorContext(ctx, "a webhook destination can't be read", slog.String("key", e.Key()), slog.Any("err", err))
			}
			w.sawUpTo(e.Revision())
		case <-connected:
			if !once { // else it recovers by itself
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *Webhooks) learn(e jetstream.KeyValueEntry) error {
	var d domain.WebhookDestination
	if e.Operation() == jetstream.KeyValuePut {
		if err := json.Unmarshal(e.Value(), &d); err != nil {
			return fmt.Errorf("read destination: %w", err)
		}
	}
	w.know(e.Key(), entry{destination: d, revision: e.Revision()})
	return nil
}

// know keeps what a key holds, unless something later is known.
func (w *Webhooks) know(key string, e entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.destinations[key].revision >= e.revision {
		return
	}
	w.destinations[key] = e
	w.tell()
}

func (w *Webhooks) sawUpTo(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = max(w.seen, revision)
	w.tell()
}

// tell wakes whoever waits for a change.
func (w *Webhooks) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Webhooks) lastRevision(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	bucket, err := w.js.Stream(ctx, "KV_"+bucketName)
	if err != nil {
		return 0, unavailable(err, "read webhook destinations")
	}
	return bucket.CachedInfo().State.LastSeq, nil
}

// catchUp returns once every destination is known that was stored before it was
// called, by whatever process.
func (w *Webhooks) catchUp(ctx context.Context) error {
	last, err := w.lastRevision(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for {
		w.mu.RLock()
		seen, changed := w.seen, w.changed
		w.mu.RUnlock()
		if seen >= last {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return unavailable(ctx.Err(), "follow webhook destinations")
		}
	}
}

// awaitChange returns when a destination is no longer what it was at a
// revision, after a pause, or when ctx ends.
func (w *Webhooks) awaitChange(ctx context.Context, key string, revision uint64, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		w.mu.RLock()
		now, changed := w.destinations[key].revision, w.changed
		w.mu.RUnlock()
		if now != revision {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}
