package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
)

// readyWithin bounds the proof that the service is ready.
const readyWithin = 1800 * time.Millisecond

// readiness proves a write to the log and a read of the read model, which has to
// show everything that the log had at the start, and must not have stood still
// behind the log for longer than stall. Those who ask at the same time share one
// proof, and each waits no longer than it likes. It is not ready any more once
// ending has ended.
func readiness(ending context.Context, events *eventstore.Store, live *projections.Live, head uint64, stall time.Duration) func(context.Context) (transport.Readiness, error) {
	var group singleflight.Group
	return func(ctx context.Context) (transport.Readiness, error) {
		if ending.Err() != nil {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "ending", "this process is ending")
		}
		if at := live.Position(); at < head {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "projection_behind", "the read model shows %d of %d events; it is catching up", at, head)
		}
		proof := group.DoChan("ready", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyWithin) // others wait for it as well
			defer cancel()
			return nil, errors.Join(events.CheckWritable(ctx), live.Ping(ctx))
		})
		select {
		case proven := <-proof:
			if proven.Err != nil {
				return transport.Readiness{}, proven.Err
			}
		case <-ctx.Done():
			return transport.Readiness{}, domain.Because(ctx.Err(), domain.Unavailable, "not_ready", "the event log or the read model does not answer in time")
		}
		now := live.Sight()
		if now.Stalled(clock(), stall) {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "projection_stalled", "the read model has shown %d of %d events for %s",
				now.Shown.Integrations, now.Head.Integrations, clock().Sub(now.Moved).Round(time.Second))
		}
		return transport.Readiness{Position: now.Shown.Integrations, Head: now.Head.Integrations}, nil
	}
}
