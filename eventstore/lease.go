package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// leaseTried is how long a command tries to get a lease that NATS can't store.
const leaseTried = 30 * time.Second

// How leases are held: a holder that disappears is replaced within leaseFor plus one
// retry of another process.
const (
	leaseFor   = 4 * time.Second
	leaseRenew = time.Second
)

// Lead runs do in one of all processes that call it with the same name. The others wait
// until that one ends or has been gone for 4 seconds. The context of do ends with ctx,
// and when the lease is lost; then Lead tries to get it again. Lead returns the result
// of do, or nil when ctx ends. When the connection is closed, it returns an error.
//
// Two processes may both lead for a moment, when one of them was suspended: do must
// tolerate that.
func (s *Store) Lead(ctx context.Context, name string, do func(context.Context) error) error {
	return s.lead(ctx, name, func(error, time.Duration) error { return nil }, do)
}

// LeadOrFail is Lead for a command, which somebody looks at. It calls waiting with the reason why it waits,
// whenever that is another one. It returns an error of kind Unavailable once NATS has failed to store the lease
// for 30 seconds; for another process it waits as long as that leads.
func (s *Store) LeadOrFail(ctx context.Context, name string, waiting func(why error), do func(context.Context) error) error {
	return s.lead(ctx, name, impatient(name, leaseTried, waiting), do)
}

// errLeaseHeld means that another process leads.
var errLeaseHeld = errors.New("another process has it")

// impatient returns what decides about each failed try to get a lease. It returns an error when the tries have
// failed for a while for other reasons than that another process leads.
func impatient(name string, limit time.Duration, waiting func(why error)) func(error, time.Duration) error {
	last := ""
	return func(err error, failing time.Duration) error {
		why := fmt.Errorf("waiting for the lease %q: %w", name, err)
		if !errors.Is(err, errLeaseHeld) {
			why = fmt.Errorf("waiting for the lease %q: NATS can't store it: %w", name, err)
		}
		if text := why.Error(); text != last {
			last = text
			if waiting != nil {
				waiting(why)
			}
		}
		if failing < limit || errors.Is(err, errLeaseHeld) {
			return nil
		}
		return unavailable(err, fmt.Sprintf("get the lease %q, for %s", name, limit))
	}
}

// lead is Lead. It asks failed about each try to get the lease that fails, with how long all of them have failed because of
// NATS, and returns its error.
func (s *Store) lead(ctx context.Context, name string, failed func(err error, failing time.Duration) error, do func(context.Context) error) error {
	var failing time.Time
	for ctx.Err() == nil {
		revision, err := s.leases.Create(ctx, name, nil)
		if err == nil {
			failing = time.Time{}
			lost, err := s.hold(ctx, name, revision, do)
			if !lost {
				return err
			}
			continue // the loss of the lease ended it, so its error doesn't matter
		}
		if errors.Is(err, jetstream.ErrInvalidKey) || s.nc.IsClosed() { // the name, or the connection, can never be used
			return fmt.Errorf("lead %q: %w", name, err)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrKeyExists), streams.IsConflict(err):
			failing, err = time.Time{}, errLeaseHeld
		case failing.IsZero():
			failing = time.Now() //nolint:forbidigo // how long ago, nothing else
		}
		since := time.Duration(0)
		if !failing.IsZero() {
			since = time.Since(failing)
		}
		if err := failed(err, since); err != nil {
			return err
		}
		streams.Wait(ctx, leaseRenew)
	}
	return nil
}

// hold runs do while the lease can be renewed. It reports whether the lease was lost.
func (s *Store) hold(ctx context.Context, name string, revision uint64, do func(context.Context) error) (lost bool, err error) {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- do(working) }()
	renewed := time.Now() //nolint:forbidigo // how long ago, nothing else
	renew := time.NewTicker(leaseRenew)
	defer renew.Stop()
	for {
		select {
		case err := <-ended:
			s.release(ctx, name, revision)
			if ctx.Err() != nil {
				return false, nil
			}
			return false, err
		case <-renew.C:
		}
		if next, err := s.renew(ctx, name, revision); err == nil {
			revision, renewed = next, time.Now() //nolint:forbidigo // as above
			continue
		} else if !errors.Is(err, errLeaseTaken) && time.Since(renewed) < leaseFor-leaseRenew {
			continue // NATS is unavailable; there is time for a retry
		}
		cancel()
		return true, <-ended
	}
}

var errLeaseTaken = errors.New("another process took the lease")

// renew renews a lease. Once sent, a renewal gets the time to finish: without its new
// revision the lease can't be released.
func (s *Store) renew(ctx context.Context, name string, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
	defer cancel()
	next, err := s.leases.Update(ctx, name, nil, revision)
	if streams.IsConflict(err) {
		return 0, errLeaseTaken
	}
	return next, err
}

// release lets another process take over immediately.
func (s *Store) release(ctx context.Context, name string, revision uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
	defer cancel()
	_ = s.leases.Delete(ctx, name, jetstream.LastRevision(revision)) // else it expires
}

// Held reports whether a process leads under a name now, according to the leader of the
// stream of leases.
func (s *Store) Held(ctx context.Context, name string) (bool, error) {
	msg, err := s.lastFromLeader(ctx, "KV_"+leaseBucket, "$KV."+leaseBucket+"."+name)
	return msg != nil && msg.Header.Get("KV-Operation") == "", err
}
