package access

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// follower keeps what is in memory of a bucket current.
type follower struct {
	js   jetstream.JetStream
	what string // it is, for the log
	log  *slog.Logger
}

// follow calls learn for every entry that the leader of a bucket has, then continues in
// the background until ctx ends. A replica that is behind or empty marks the end of its
// entries like a complete one, so follow waits for the last revision. After a reconnect
// it starts a new watch immediately: the old one would take up to half a minute to
// notice, and meanwhile revoked keys would stay valid.
func (f *follower) follow(ctx context.Context, nc *nats.Conn, bucket jetstream.KeyValue, learn func(jetstream.KeyValueEntry) error) error {
	connected := nc.StatusChanged(nats.CONNECTED)
	last, err := streams.LastSequence(ctx, f.js, "KV_"+bucket.Bucket())
	if err != nil {
		return err
	}
	watch, err := bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	for seen := uint64(0); seen < last; {
		select {
		case e, more := <-watch.Updates():
			switch {
			case !more:
				return nats.ErrConnectionClosed
			case e == nil:
				continue
			}
			if err := learn(e); err != nil {
				return err
			}
			seen = max(seen, e.Revision())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go func() {
		defer nc.RemoveStatusListener(connected)
		for ctx.Err() == nil && !nc.IsClosed() {
			f.learnAll(ctx, watch, connected, learn)
			_ = watch.Stop() // an error only means that its server is gone
			watch = f.watchAgain(ctx, nc, bucket)
		}
	}()
	return ctx.Err()
}

// learnAll calls learn for the entries of a watch, until it ends or NATS reconnects.
func (f *follower) learnAll(ctx context.Context, watch jetstream.KeyWatcher, connected <-chan nats.Status, learn func(jetstream.KeyValueEntry) error) {
	for {
		select {
		case e, more := <-watch.Updates():
			if !more {
				return
			}
			if e == nil {
				continue
			}
			if err := learn(e); err != nil {
				f.log.ErrorContext(ctx, "a record is unreadable", slog.String("of", f.what), slog.String("key", e.Key()), slog.Any("err", err))
			}
		case <-connected:
			return
		case <-ctx.Done():
			return
		}
	}
}

// watchAgain starts another watch of a bucket, however long it takes. It returns nil only
// when ctx ends or the connection is closed.
func (f *follower) watchAgain(ctx context.Context, nc *nats.Conn, bucket jetstream.KeyValue) jetstream.KeyWatcher {
	for {
		watch, err := bucket.WatchAll(ctx)
		if err == nil || ctx.Err() != nil || nc.IsClosed() {
			return watch
		}
		f.log.WarnContext(ctx, "watching failed; retrying", slog.String("of", f.what), slog.Any("err", err))
		streams.Wait(ctx, time.Second)
	}
}

func (k *Keys) learn(e jetstream.KeyValueEntry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.Revision() <= k.keys[e.Key()].revision {
		return nil
	}
	if e.Operation() != jetstream.KeyValuePut {
		k.set(e.Key(), entry{revision: e.Revision()})
		return nil
	}
	var key stored
	if err := json.Unmarshal(e.Value(), &key); err != nil {
		return fmt.Errorf("read key %s: %w", e.Key(), err)
	}
	k.set(e.Key(), entry{key: key.key(), revision: e.Revision()})
	return nil
}

func (k *Keys) learnUse(e jetstream.KeyValueEntry) error {
	at, err := time.Parse(time.RFC3339, string(e.Value()))
	if err != nil || e.Operation() != jetstream.KeyValuePut {
		return nil //nolint:nilerr // a last use is a convenience; an unreadable one counts as none
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used[e.Key()] = at
	return nil
}
