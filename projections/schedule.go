package projections

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// UsualInterval is the interval of an integration without one of its own.
const UsualInterval = -1

// IntervalOf returns the interval of an integration in seconds, as stores keep it.
func IntervalOf(i domain.Integration) int {
	if i.HealthCheck == nil {
		return UsualInterval
	}
	return i.HealthCheck.IntervalSeconds
}

// Read calls do with the live generation, once there is one, and with the positions in the
// present logs that it has reached. The generation stays open until do returns.
func (l *Live) Read(ctx context.Context, do func(Store, Positions) error) error {
	if err := l.started.Wait(ctx, 1); err != nil {
		return err
	}
	store, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	at, err := reached(ctx, l.Events, store)
	if err != nil {
		return err
	}
	return do(store, at)
}
