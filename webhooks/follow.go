package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// hasEnabled reports whether a workspace has an enabled destination.
func (w *Webhooks) hasEnabled(of domain.Workspace) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, e := range w.destinations[of] {
		if e.destination.Enabled {
			return true
		}
	}
	return false
}

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
				streams.Wait(ctx, time.Second)
			}
		}
	}()
	return nil
}

// watch learns what is in the bucket from its beginning, and unless only that was
// asked, changes until the watch ends or NATS was away.
//
// The bucket is only known once its last revision was read: a replica that is
// behind, or was emptied, ends what it has with the same mark as one that is whole.
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
	w.begin()
	if last == 0 && w.sawUpTo(0, 0) && once {
		return nil
	}
	for {
		select {
		case e, more := <-watch.Updates():
			switch {
			case !more:
				return ctx.Err()
			case e == nil:
				continue
			}
			if err := w.learn(e); err != nil {
				w.config.Log.ErrorContext(ctx, "a webhook destination can't be read", slog.String("key", e.Key()), slog.Any("err", err))
			}
			if w.sawUpTo(e.Revision(), last) && once {
				return nil
			}
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
	workspace, id, _ := strings.Cut(e.Key(), ".")
	w.know(domain.Workspace(workspace), id, entry{destination: d, revision: e.Revision()})
	return nil
}

// know keeps what is stored under an id, unless something later is known.
func (w *Webhooks) know(of domain.Workspace, id string, e entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.learning != nil {
		w.learning.put(of, id, e)
	}
	if w.destinations.put(of, id, e) {
		w.notify()
	}
}

// begin notes that the bucket is read from its beginning. What was known stays in
// use until that is done, and goes then: the bucket may be another one.
func (w *Webhooks) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learning, w.seen = directory{}, 0
}

// sawUpTo notes that everything up to a revision is known, and reports whether
// that is all that the bucket had at begin.
func (w *Webhooks) sawUpTo(revision, last uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision < last && w.learning != nil {
		return false
	}
	if w.learning != nil {
		w.destinations, w.learning = w.learning, nil
	}
	w.seen = max(w.seen, revision)
	w.notify()
	return true
}

// notify wakes all that wait for a change.
func (w *Webhooks) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// lastRevision returns the last revision that the leader of the bucket has, 0 when
// nothing is stored. Where there is one copy it is read beside the queue of the
// server's API, which deletes of deliveries fill.
func (w *Webhooks) lastRevision(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if info := w.bucket.CachedInfo(); info.Config.Replicas <= 1 {
		last, err := w.bucket.GetLastMsgForSubject(ctx, "$KV."+bucketName+".>")
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, nil
		case err != nil:
			return 0, unavailable(err, "read webhook destinations")
		}
		return last.Sequence, nil
	}
	last, err := streams.LastSequence(ctx, w.js, "KV_"+bucketName)
	if err != nil {
		return 0, unavailable(err, "read webhook destinations")
	}
	return last, nil
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
func (w *Webhooks) awaitChange(ctx context.Context, of domain.Workspace, id string, revision uint64, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		w.mu.RLock()
		now, changed := w.destinations[of][id].revision, w.changed
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
