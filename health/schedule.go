package health

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

// Scheduler keeps a schedule for every integration that is to be probed from
// time to time. JetStream keeps them and fires them; nothing here counts time.
// Any number of schedulers may run; one works.
type Scheduler struct {
	Queue  *Queue
	Events *eventstore.Store
	Every  time.Duration // for integrations that say nothing of it; 0: those are probed only on request
	Repair time.Duration // how often all schedules are compared with the log; default an hour
	Log    *slog.Logger
}

// Run follows the log, and repairs what is lost or left over at its start and
// from time to time, until ctx ends; it returns nil then.
func (s *Scheduler) Run(ctx context.Context) error {
	follow, err := subscriber.New(s.Events, subscriber.Config{Name: "probe-schedules", FromNow: true, Log: s.Log})
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error {
		return follow.Run(ctx, subscriber.Changes(""), func(ctx context.Context, e subscriber.Event) error {
			if !s.concerns(e) {
				return nil
			}
			return s.settle(ctx, e.Workspace, e.ID)
		})
	})
	parts.Go(func() error { return s.Events.Lead(ctx, "probe-schedules-repair", s.repair) })
	return parts.Wait()
}

// concerns reports whether an event may call for another schedule: most change
// nothing that one depends on.
func (s *Scheduler) concerns(e subscriber.Event) bool {
	switch is := e.Event.(type) {
	case domain.IntegrationCreated:
		return s.interval(is.Integration) > 0
	case domain.IntegrationUpdated:
		return slices.ContainsFunc(is.Changed, func(pointer string) bool {
			return pointer == "/enabled" || strings.HasPrefix(pointer, "/health_check")
		})
	case domain.IntegrationDeleted, domain.IntegrationProbed, domain.IntegrationInvoked:
	}
	return true
}

func (s *Scheduler) repair(ctx context.Context) error {
	every := s.Repair
	if every <= 0 {
		every = time.Hour
	}
	for ctx.Err() == nil {
		repaired, err := s.Reconcile(ctx)
		wait := every
		switch {
		case err != nil && ctx.Err() == nil:
			s.Log.WarnContext(ctx, "schedules of probes could not all be compared with the log; trying again", slog.Any("err", err))
			wait = min(every, 10*time.Second)
		case repaired > 0:
			s.Log.InfoContext(ctx, "repaired schedules of probes", slog.Int("count", repaired))
		}
		pause(ctx, wait)
	}
	return nil
}

// Reconcile compares all schedules with the log, and returns how many had to be
// placed, replaced or removed.
func (s *Scheduler) Reconcile(ctx context.Context) (int, error) {
	left, err := s.Queue.scheduled(ctx)
	if err != nil {
		return 0, err
	}
	latest, err := s.Events.Latest(ctx)
	if err != nil {
		return 0, err
	}
	repaired := 0
	for commits, err := range latest.Commits {
		if err != nil {
			return repaired, err
		}
		for _, c := range commits {
			at := schedulePrefix + string(c.Workspace) + "." + string(c.ID)
			_, there := left[at]
			delete(left, at)
			wanted := s.interval(domain.Evolve(domain.Integration{}, c.Event))
			if wanted == 0 && !there {
				continue
			}
			changed, err := s.put(ctx, c.Workspace, c.ID)
			if err != nil {
				return repaired, err
			}
			repaired += changed
		}
	}
	for at := range maps.Keys(left) { // of integrations that never were
		if err := s.Queue.remove(ctx, at); err != nil {
			return repaired, err
		}
		repaired++
	}
	return repaired, nil
}

func (s *Scheduler) settle(ctx context.Context, w domain.Workspace, id domain.ID) error {
	_, err := s.put(ctx, w, id)
	return err
}

// put makes the schedule of an integration what the head of the log asks for,
// and returns how many schedules that changed. One that is as it should be goes
// on undisturbed.
func (s *Scheduler) put(ctx context.Context, w domain.Workspace, id domain.ID) (int, error) {
	last, err := s.Events.LoadFromLeader(ctx, w, id)
	if err != nil && domain.KindOf(err) == domain.Unavailable {
		return 0, err
	}
	wanted := s.interval(domain.Evolve(domain.Integration{}, last.Event)) // an event that can't be read asks for none
	at := schedulePrefix + string(w) + "." + string(id)
	present, err := s.Queue.interval(ctx, at)
	switch {
	case err != nil:
		return 0, err
	case present == wanted:
		return 0, nil
	case wanted == 0:
		return 1, s.Queue.remove(ctx, at)
	}
	return 1, s.Queue.place(ctx, at, subjectOf(Due, w, id), wanted)
}

// interval returns how often an integration is to be probed, in whole seconds; 0
// is never. It is up to a tenth longer or shorter than was asked for, the same
// for ever, so that those made together don't stay together.
func (s *Scheduler) interval(i domain.Integration) time.Duration {
	if !i.Exists() || !i.Enabled {
		return 0
	}
	every := s.Every
	if i.HealthCheck != nil {
		every = time.Duration(i.HealthCheck.IntervalSeconds) * time.Second
	}
	if every <= 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(i.ID))
	spread := float64(h.Sum32())/(1<<31) - 1 // from -1 to 1
	return max((every + time.Duration(0.1*spread*float64(every))).Round(time.Second), time.Second)
}

// place stores a schedule in the place of the one that is there.
func (q *Queue) place(ctx context.Context, at, target string, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	if _, err := q.js.Publish(ctx, at, []byte(every.String()), jetstream.WithScheduleEvery(every), jetstream.WithScheduleTarget(target)); err != nil {
		return unavailable(err, "schedule probes")
	}
	return nil
}

func (q *Queue) remove(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	if err := q.stream.Purge(ctx, jetstream.WithPurgeSubject(at)); err != nil {
		return unavailable(err, "end a schedule of probes")
	}
	return nil
}

// interval returns how often the schedule at a subject fires, 0 when there is
// none.
func (q *Queue) interval(ctx context.Context, at string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	msg, err := q.stream.GetLastMsgForSubject(ctx, at)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, unavailable(err, "read a schedule of probes")
	}
	every, err := time.ParseDuration(string(msg.Data))
	if err != nil {
		return -1, nil //nolint:nilerr // it is not as any should be, so it is replaced
	}
	return every, nil
}

// scheduled returns the subjects that have a schedule.
func (q *Queue) scheduled(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	info, err := q.stream.Info(ctx, jetstream.WithSubjectFilter(schedulePrefix+">"))
	if err != nil {
		return nil, unavailable(err, "read the schedules of probes")
	}
	if info.State.Subjects == nil {
		return map[string]uint64{}, nil
	}
	return info.State.Subjects, nil
}
