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

// maxReadyCheck bounds a check that the service is ready.
const maxReadyCheck = 1800 * time.Millisecond

// readiness returns the check of /readyz: it writes to the log and reads from the read
// model. The read model must show everything that the log had at startup, and must not
// be behind the log without progress for longer than stall. Concurrent requests share
// one check, and each ends with its own context. The check fails once ending is done.
func readiness(ending context.Context, events *eventstore.Store, live *projections.Live, head uint64, stall time.Duration) func(context.Context) (transport.Readiness, error) {
	var group singleflight.Group
	return func(ctx context.Context) (transport.Readiness, error) {
		if ending.Err() != nil {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "ending", "this process is ending")
		}
		if at := live.Position(); at < head {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "projection_behind", "the read model shows %d of %d events; it is catching up", at, head)
		}
		checked := group.DoChan("ready", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxReadyCheck) // other requests wait for it as well
			defer cancel()
			return nil, errors.Join(events.CheckWritable(ctx), live.Ping(ctx))
		})
		select {
		case result := <-checked:
			if result.Err != nil {
				return transport.Readiness{}, result.Err
			}
		case <-ctx.Done():
			return transport.Readiness{}, domain.Wrap(ctx.Err(), domain.Unavailable, "not_ready", "the event log or the read model does not answer in time")
		}
		now := live.Status()
		if now.Stalled(clock(), stall) {
			return transport.Readiness{}, domain.Errorf(domain.Unavailable, "projection_stalled", "the read model has shown %d of %d events for %s",
				now.Shown.Integrations, now.Head.Integrations, clock().Sub(now.Moved).Round(time.Second))
		}
		shared, err := events.TokensSharedSince(ctx)
		if err != nil {
			return transport.Readiness{}, err
		}
		return transport.Readiness{Position: now.Shown.Integrations, Head: now.Head.Integrations, TokensPaused: !shared.IsZero()}, nil
	}
}
