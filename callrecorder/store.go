package callrecorder

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// Run records calls until ctx ends, and then those that are left. It returns nil.
func (r *Recorder) Run(ctx context.Context) error {
	for pause := firstPause; ctx.Err() == nil; {
		select {
		case <-r.work:
		case <-ctx.Done():
			continue
		}
		select { // for others
		case <-time.After(gatherFor):
		case <-r.hurry:
		case <-ctx.Done():
		}
		if r.storeNext(ctx) {
			pause = firstPause
			continue
		}
		streams.Wait(ctx, pause)
		pause = min(2*pause, maxPause)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), waitFor)
	defer cancel()
	for r.queued() > 0 && r.storeNext(ctx) {
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 { // the next run has nothing to compare then
		if err := r.begin(r.journal.path); err != nil {
			r.log.WarnContext(ctx, "ending the journal of calls failed", slog.Any("err", err))
		}
	}
	_ = r.lock.Close()
	return nil
}

func (r *Recorder) queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// storeNext stores the oldest calls, and reports whether that succeeded.
func (r *Recorder) storeNext(ctx context.Context) bool {
	r.mu.Lock()
	batch, doubtful, since := r.queue[:min(len(r.queue), maxBatch)], r.doubts > 0, r.since
	r.mu.Unlock()
	if len(batch) == 0 {
		return true
	}
	err := r.store(context.WithoutCancel(ctx), batch, doubtful, since) // else its outcome is unknown; it has its own limit of time
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > len(batch) || err != nil {
		signal(r.work)
	}
	if err != nil {
		r.doubts = max(r.doubts, len(batch))
		r.log.WarnContext(ctx, "recording calls failed; retrying", slog.Int("calls", len(batch)), slog.Any("err", err))
		return false
	}
	r.queue = append([]*queued(nil), r.queue[len(batch):]...)
	if r.doubts = max(0, r.doubts-len(batch)); r.doubts == 0 { // what is queued now comes after these
		for _, q := range batch {
			r.since.After = max(r.since.After, q.position)
		}
	}
	for _, q := range batch {
		close(q.stored)
	}
	close(r.changed)
	r.changed = make(chan struct{})
	err = nil
	switch {
	case len(r.queue) == 0: // what is recorded must not be found again, perhaps long after it has expired
		err = r.clear()
	case r.journal.size > maxJournal:
		err = r.begin(r.journal.path)
	}
	if err != nil {
		r.log.WarnContext(ctx, "beginning a journal of calls again failed; the present one grows", slog.Any("err", err))
	}
	return true
}

// store stores calls and sets their positions. Those that are doubtful are looked up first.
func (r *Recorder) store(ctx context.Context, batch []*queued, doubtful bool, since origin) error {
	records := make([]eventstore.CallRecord, len(batch))
	for n, q := range batch {
		records[n] = q.record
	}
	found := map[string]uint64{}
	if doubtful {
		var err error
		if found, err = r.events.RecordedCalls(ctx, since.After, records); err != nil {
			return err
		}
	}
	var missing []*queued
	records = records[:0]
	for _, q := range batch {
		if q.position = found[q.record.ID()]; q.position == 0 {
			missing, records = append(missing, q), append(records, q.record)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	positions, err := r.events.RecordCalls(ctx, records)
	if err != nil {
		return err
	}
	for n, q := range missing {
		q.position = positions[n]
	}
	return nil
}
