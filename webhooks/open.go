package webhooks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/streams"
)

// Open returns the webhooks once all destinations are known, and follows changes
// until ctx ends.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Webhooks, error) {
	for _, wait := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&c.First, 5 * time.Second}, {&c.Longest, time.Hour}, {&c.GiveUp, 24 * time.Hour}, {&c.Timeout, 15 * time.Second}, {&c.Compare, 5 * time.Second}} {
		if *wait.of <= 0 {
			*wait.of = wait.otherwise
		}
	}
	c.Replicas = max(c.Replicas, 1)
	if c.Spread == nil {
		c.Spread = rand.Float64 // hides nothing
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open webhooks: %w", err)
	}
	w := &Webhooks{config: c, nc: nc, js: js, destinations: directory{}, changed: make(chan struct{})}
	if err := w.openStreams(ctx); err != nil {
		return nil, fmt.Errorf("open webhooks: %w", err)
	}
	if err := w.follow(ctx); err != nil {
		return nil, fmt.Errorf("open webhooks: %w", err)
	}
	return w, nil
}

func (w *Webhooks) openStreams(ctx context.Context) error {
	const month = 30 * 24 * time.Hour
	// What is still to be delivered has no limit of age or number: the deliverer
	// takes it out. It is read from the leader alone: what a follower does not
	// have yet would look like what was delivered.
	pending := jetstream.StreamConfig{
		Name: pendingName, Subjects: []string{pendingPrefix + "*.*.*"}, AllowAtomicPublish: true, AllowDirect: w.config.Replicas == 1,
	}
	log := jetstream.StreamConfig{
		Name: logName, Subjects: []string{logPrefix + "*.*"}, AllowDirect: true, MaxMsgsPerSubject: 1000, MaxAge: month,
	}
	dead := log
	dead.Name, dead.Subjects = deadName, []string{deadPrefix + "*.*"}
	if w.config.Replicas == 1 {
		// The log is for people, so no delivery waits for a disk to take it. Replicated
		// streams don't offer this.
		log.PersistMode = jetstream.AsyncPersistMode
	}
	var kept jetstream.Stream
	for _, stream := range []struct {
		config jetstream.StreamConfig
		to     *jetstream.Stream
	}{{pending, &w.pending}, {log, &kept}, {dead, &w.dead}} {
		stream.config.Replicas = w.config.Replicas
		var err error
		if *stream.to, err = streams.Ensure(ctx, w.js, stream.config); err != nil {
			return err
		}
	}
	w.bringUp(ctx)
	var err error
	if w.kv, err = streams.EnsureBucket(ctx, w.js, jetstream.KeyValueConfig{Bucket: bucketName, Replicas: max(w.config.Replicas, 1)}); err != nil {
		return err
	}
	w.bucket, err = w.js.Stream(ctx, "KV_"+bucketName)
	return err
}

// bringUp gives the stream of deliveries what one that an earlier version made
// lacks: batches, and reads beside the queue of the server's API where there is
// one copy.
func (w *Webhooks) bringUp(ctx context.Context) {
	config := w.pending.CachedInfo().Config
	wanted := config
	wanted.AllowAtomicPublish, wanted.AllowDirect = true, config.Replicas <= 1
	if wanted.AllowAtomicPublish != config.AllowAtomicPublish || wanted.AllowDirect != config.AllowDirect {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		if updated, err := w.js.UpdateStream(ctx, wanted); err == nil { // else it works as it is
			w.pending = updated
		}
	}
	w.batches = w.pending.CachedInfo().Config.AllowAtomicPublish
}

// Run dispatches and delivers until ctx ends. Of all processes that call it, one
// does each; another takes over when that one ends.
func (w *Webhooks) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return w.dispatch(ctx) })
	parts.Go(func() error { return w.deliver(ctx) })
	return parts.Wait()
}
