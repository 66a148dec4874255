package eventstore

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// How a scrub reads. The server keeps each file that it has read for ten seconds, and the
// subjects in it for two minutes, so a fast scrub of a large log takes as much memory as all
// else together.
const (
	scrubBatch = 1000

	scrubPause = 25 * time.Millisecond // between two batches: a million events take half a minute

	// A scrub beside other work slows down after some events: a million take four minutes.
	scrubAtOnce = 50_000
	scrubAside  = 250 * time.Millisecond
)

// errScrubCut means that a scrub must start again.
var errScrubCut = errors.New("the consumer of a scrub lost its position")

// Scrub reads the whole log once, slower if it is beside other work, and returns where events are missing or unreadable. The
// server verifies each event as it reads it, and skips damaged ones, which no message
// count shows.
func (s *Store) Scrub(ctx context.Context, aside bool, progress func(position, head uint64)) (Scrubbed, error) {
	found := Scrubbed{Log: s.Lineage().ID()}
	head, err := s.Head(ctx)
	if err != nil || head == 0 {
		return found, err
	}
	removed, err := s.Removed(ctx)
	if err != nil {
		return found, err
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	consumer, err := s.js.CreateConsumer(bounded, logName, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return found, unavailable(err, "scrub the log")
	}
	defer func() {
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		_ = s.js.DeleteConsumer(gone, logName, consumer.CachedInfo().Name) // else it expires
	}()
	var at, received uint64
	for at < head {
		batch, err := consumer.Fetch(scrubBatch, jetstream.FetchMaxWait(s.timeout))
		if err != nil {
			return found, unavailable(err, "scrub the log")
		}
		before := at
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return found, err
			}
			if received++; meta.Sequence.Consumer != received {
				return found, unavailable(errScrubCut, "scrub the log")
			}
			if removed, err = s.RemovedSince(ctx, removed, at+1, meta.Sequence.Stream-1); err != nil {
				return found, err
			}
			found.add(at, meta.Sequence.Stream, removed)
			at = meta.Sequence.Stream
			if at >= head || meta.NumPending == 0 { // without this it would wait for a full batch
				break
			}
		}
		if err := batch.Error(); err != nil {
			return found, unavailable(err, "scrub the log")
		}
		if at == before { // nothing is left to deliver, or the server is slow
			info, err := consumer.Info(ctx)
			if err != nil {
				return found, unavailable(err, "scrub the log")
			}
			if info.NumPending > 0 {
				return found, unavailable(errScrubCut, "scrub the log")
			}
			if removed, err = s.RemovedSince(ctx, removed, at+1, head); err != nil {
				return found, err
			}
			found.add(at, head+1, removed)
			at = head
		}
		progress(at, head)
		pause := scrubPause
		if aside && received >= scrubAtOnce {
			pause = scrubAside
		}
		if !streams.Wait(ctx, pause) {
			return found, ctx.Err()
		}
	}
	return found, s.confirmMissing(ctx, found)
}

// confirmMissing returns an error when the leader has an event that could not be read:
// then the replica is behind or damaged, and the log is not.
func (s *Store) confirmMissing(ctx context.Context, found Scrubbed) error {
	for _, r := range found.Ranges {
		for _, position := range []uint64{r.From, r.To} {
			there, err := streams.FromLeader(ctx, s.nc, logName, position)
			if err == nil && there != nil {
				err = errBehind
			}
			if err != nil {
				return unavailable(err, "scrub the log")
			}
		}
	}
	return nil
}
