package eventstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// A Pruning is what Prune removes: all events of the log but the last Keep of each integration and of
// each authorization. The latest event has the whole state, so what they lead to stays.
type Pruning struct {
	Keep     uint64     // at least 1
	Events   *Retention // every event of the log up to a position near its end
	Archived uint64     // an archive has every event up to here, byte for byte
	Sign     func(removed *Positions) (note string, err error)
	Progress func(removed, of uint64)
	LastOnly []string        // names of followers that need the last event of each integration only
	Waiting  func(why error) // as of LeadOrFail

	// Check is called with what is removed, once nothing is appended any more. An error ends Prune before
	// anything is removed.
	Check func(ctx context.Context, remove *Positions) error

	step uint64 // events that are removed at once; 0: pruneStep
}

const (
	pruneStep     = 200_000          // events that are removed at once: the log stands still meanwhile
	pruneSettle   = 30 * time.Second // until each replica has made it: changes are refused meanwhile
	replicasWait  = 30 * time.Second
	followersWait = 30 * time.Second
)

// NotArchived is an Invalid error of Prune: the archive lacks events that would be removed.
const NotArchived = "not_archived"

// Prune removes events that are in an archive. Nobody can delete from the log, which denies it, so the
// server does it by a limit of events for each subject:
//
//  1. The log refuses appends, with an error of kind Unavailable, so that nothing is added unseen, until the last step.
//  2. The positions to remove are recorded, signed. From here on they may be gone.
//  3. The server gets the limit, in steps, and still refuses an event beyond it instead of removing another one.
//  4. Once each replica has removed them, the limit is taken back, and appends are accepted again.
//
// It may be interrupted at any moment: a running service then takes back the limits within seconds, and
// so does the next start. Another run continues. It returns all positions that have been removed, also by earlier runs.
//
// The error is Invalid when events would be removed that are not archived, or that a follower
// has not read yet, and Unavailable when a replica stays behind. Nothing is removed then.
func (s *Store) Prune(ctx context.Context, p Pruning) (removed *Positions, err error) {
	begun := false
	err = s.LeadOrFail(ctx, pruneLease, p.Waiting, func(ctx context.Context) error {
		if begun {
			return ErrPruneInterrupted
		}
		begun = true
		removed, err = s.prune(ctx, p)
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return removed, err
}

func (s *Store) prune(ctx context.Context, p Pruning) (removed *Positions, err error) {
	if err := within(ctx, replicasWait, prunePoll, s.replicated); err != nil { // one that is behind for a moment is usual
		return nil, err
	}
	if _, err := s.addTail(ctx, p.Events); err != nil {
		return nil, err
	}
	if err := s.awaitFollowers(ctx, p.Events.Beyond(p.Keep).Last(), p.LastOnly); err != nil {
		return nil, err
	}
	token, err := s.own(ctx)
	defer func() {
		ctx := context.WithoutCancel(ctx)
		switch {
		case err == nil:
			err = s.unlimit(ctx, token)
		case !errors.Is(err, ErrPruneInterrupted): // else another process has the limits
			err = errors.Join(err, s.takeBack(ctx))
		}
	}()
	if err != nil {
		return nil, err
	}
	state, err := s.addLast(ctx, p.Events)
	if err != nil {
		return nil, err
	}
	remove := p.Events.Beyond(p.Keep)
	if err := s.mayRemove(ctx, remove, p); err != nil {
		return nil, err
	}
	already, err := s.RemovedNow(ctx) // another run may just have ended
	if err != nil || remove.Count() == 0 {
		return already, err
	}
	removed = &Positions{}
	removed.AddAll(already)
	removed.AddAll(remove)
	note, err := p.Sign(removed)
	if err != nil {
		return nil, err
	}
	if err := s.saveRemoved(ctx, removed, note); err != nil {
		return nil, err
	}
	left := state.Msgs - remove.Count()
	for _, limit := range p.Events.limits(p.Keep, cmp.Or(p.step, pruneStep)) {
		err := s.limitAs(ctx, token, func(c *jetstream.StreamConfig) {
			refuseAppends(c, left)                                           // which it never has fewer of
			c.MaxMsgsPerSubject, c.DiscardNewPerSubject = int64(limit), true //nolint:gosec // a count of events fits
		})
		if err != nil {
			return nil, err
		}
		now, err := s.info(ctx)
		if err != nil {
			return nil, err
		}
		p.Progress(state.Msgs-now.State.Msgs, remove.Count())
	}
	return removed, s.awaitRemoved(ctx, left)
}

// addTail adds the events of the log that a retention does not have yet, and returns the state of
// the log that it then has.
func (s *Store) addTail(ctx context.Context, events *Retention) (jetstream.StreamState, error) {
	info, err := s.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	last := info.State.LastSeq
	if last <= events.Position() {
		return info.State, nil
	}
	for batch, err := range s.Messages(ctx, logName, ">", events.Position(), last) {
		if err != nil {
			return info.State, err
		}
		for _, m := range batch {
			events.Add(m.Subject, m.Position)
		}
	}
	if events.Position() != last {
		return info.State, unavailable(errBehind, "read the log")
	}
	return info.State, nil
}

// addLast is addTail once the log has begun to refuse appends: what was on its way arrives first.
func (s *Store) addLast(ctx context.Context, events *Retention) (jetstream.StreamState, error) {
	for {
		at := events.Position()
		state, err := s.addTail(ctx, events)
		if err != nil || at == state.LastSeq {
			return state, err
		}
		if !streams.Wait(ctx, prunePoll) {
			return state, ctx.Err()
		}
	}
}

// mayRemove refuses to remove what is not archived, or what a follower has not read yet.
func (s *Store) mayRemove(ctx context.Context, remove *Positions, p Pruning) error {
	last := remove.Last()
	if last > p.Archived {
		m, found, err := s.MessageFrom(ctx, logName, last)
		if err == nil && !found {
			err = unavailable(errBehind, "read the log")
		}
		if err != nil {
			return err
		}
		w, id, _ := parseSubject(m.Subject)
		return domain.Errorf(domain.Invalid, NotArchived,
			"the event at position %d of integration %s in workspace %s would be removed, and the archive ends with position %d: archive the log further, or keep more events", last, id, w, p.Archived)
	}
	if err := s.readByAll(ctx, last, p.LastOnly); err != nil || p.Check == nil {
		return err
	}
	return p.Check(ctx, remove)
}

// awaitFollowers waits a while until all followers have read the log up to a position: they save
// their positions from time to time.
func (s *Store) awaitFollowers(ctx context.Context, last uint64, lastOnly []string) error {
	return within(ctx, followersWait, time.Second, func(ctx context.Context) error { return s.readByAll(ctx, last, lastOnly) })
}

// within repeats a check until it succeeds, for a while, and returns its last error.
func within(ctx context.Context, limit, pause time.Duration, check func(context.Context) error) error {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil || !streams.Wait(waiting, pause) {
			return err
		}
	}
}

// readByAll returns an error unless all followers have read the log up to a position.
func (s *Store) readByAll(ctx context.Context, last uint64, lastOnly []string) error {
	followers, err := s.Followers(ctx)
	if err != nil {
		return err
	}
	for _, f := range followers {
		if slices.Contains(lastOnly, f.Name) {
			continue
		}
		if kind := positionName.FindStringSubmatch(f.Name); kind[1] == "integrations" && f.Lag > 0 && f.Position < last {
			return domain.Errorf(domain.Invalid, "not_read",
				"%s has read the log up to position %d only, and the event at position %d would be removed: wait for it, or delete its position in the bucket SUBSCRIBERS if it will not come back", f.Name, f.Position, last)
		}
	}
	return nil
}

// replicated returns an error unless every replica of the log has all events.
func (s *Store) replicated(ctx context.Context) error {
	info, err := s.info(ctx)
	if err != nil || info.Cluster == nil {
		return err
	}
	var behind []string
	for _, peer := range info.Cluster.Replicas {
		if !peer.Current || peer.Offline || peer.Lag > 0 {
			behind = append(behind, peer.Name)
		}
	}
	if len(behind) > 0 {
		return domain.Errorf(domain.Unavailable, "replica_behind", "replicas of the log are not up to date: %s; try again", strings.Join(behind, ", "))
	}
	return nil
}

// awaitRemoved waits until the log has no more messages than are to be left, and each replica has applied that.
func (s *Store) awaitRemoved(ctx context.Context, left uint64) error {
	ctx, cancel := context.WithTimeout(ctx, pruneSettle)
	defer cancel()
	for {
		info, err := s.info(ctx)
		if err == nil && info.State.Msgs <= left { // fewer, when some were there again that an earlier run had removed
			if err = s.replicated(ctx); err == nil {
				return nil
			}
		}
		if !streams.Wait(ctx, prunePoll) {
			return domain.Wrap(errors.Join(ctx.Err(), err), domain.Unavailable, "removal_unconfirmed",
				"the events were removed, and not every replica of the log has confirmed it; it does once it is up to date")
		}
	}
}
