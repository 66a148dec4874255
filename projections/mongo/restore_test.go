package mongo_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
)

// site is two services that share a read model, and their log.
type site struct {
	*testing.T
	events   *eventstore.Store
	services []*projections.Live
	count    atomic.Int64
}

func startSite(t *testing.T, databases ...string) *site {
	t.Helper()
	s := &site{T: t}
	var err error
	s.events, err = eventstore.Open(t.Context(), natstest.Connect(t), eventstore.Config{AllowLazySync: true, Timeout: time.Minute})
	require.NoError(t, err)
	for _, uri := range databases {
		s.start(uri)
	}
	return s
}

// start starts another service on a database.
func (s *site) start(uri string) *projections.Live {
	s.Helper()
	l := &projections.Live{
		Events: s.events, Generations: generations(s.T, uri, "site"), Mode: projections.Elected, Every: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(func() {
		stop()
		running.Wait()
		_ = l.Close() // the database may be unavailable
	})
	s.services = append(s.services, l)
	return l
}

func nameOf(n int64) string { return fmt.Sprint("crm-", n) }

// record records the creation of some integrations.
func (s *site) record(count int) {
	for range count {
		name := nameOf(s.count.Load())
		i := domain.Integration{
			ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: 1, Incarnation: 1,
			Configuration: domain.Configuration{DisplayName: name, Protocol: domain.REST, Enabled: true, Endpoints: []domain.Endpoint{}},
		}
		_, err := s.events.Append(s.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: name, At: time.Now()})
		if err != nil {
			s.Error(err)
			return
		}
		s.count.Add(1)
	}
}

// shows waits until every service shows everything and reports that it does.
func (s *site) shows() {
	s.Helper()
	var state string
	s.Cleanup(func() {
		if s.Failed() {
			s.Log(state)
		}
	})
	for n, l := range s.services {
		require.Eventually(s, func() bool {
			page, err := l.List(s.Context(), "acme", projections.Query{Limit: 1})
			status := l.Status()
			state = fmt.Sprintf("service %d lists %d of %d, %v, %+v", n, page.Total, s.count.Load(), err, status)
			return err == nil && int64(page.Total) == s.count.Load() && status.Shown == status.Head
		}, time.Minute, 20*time.Millisecond, "service %d shows everything", n)
	}
}

// asked reads existing integrations from all services until the returned function is called.
// Only the integration, or that the read model is unavailable, is a valid answer.
func (s *site) asked() (end func()) {
	ctx, stop := context.WithCancel(s.Context())
	var reading sync.WaitGroup
	for _, l := range s.services {
		reading.Go(func() {
			for n := int64(0); ctx.Err() == nil; n++ {
				known := s.count.Load()
				position, id := uint64(known), domain.NewID("acme", nameOf(n%known))
				within, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				err := l.Wait(within, position) // as for Event-Position
				if err == nil {
					_, err = l.Get(within, "acme", id)
				}
				if err == nil {
					var page projections.Page
					if page, err = l.List(within, "acme", projections.Query{Limit: 1}); err == nil && int64(page.Total) < known {
						s.Errorf("%d of %d are listed", page.Total, known)
					}
				}
				cancel()
				if domain.KindOf(err) == domain.NotFound && err != nil {
					s.Errorf("%s is reported not to exist: %v", id, err)
					return
				}
			}
		})
	}
	return func() { stop(); reading.Wait() }
}

func TestADatabaseThatGoesBackInTimeCatchesUpAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	ferret := ferrettest.Spawn(t)
	s := startSite(t, ferret.URI, ferret.URI)
	s.record(20)
	s.shows()
	ferret.Kill()
	restore := ferret.Save()
	ferret.Start()
	s.record(5)
	s.shows()
	end := s.asked()
	ferret.Kill()
	restore()
	ferret.Start()
	s.shows() // without new events: missing data is detected by checking
	s.record(5)
	s.shows()
	end()
}

func TestADatabaseThatIsEmptiedIsRebuiltAndNeverTrusted(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	ferret := ferrettest.Spawn(t)
	s := startSite(t, ferret.URI, ferret.URI)
	s.record(40)
	s.shows()
	for range 2 {
		end := s.asked()
		ferret.Kill()
		ferret.Empty()
		ferret.Start()
		s.record(3)
		s.shows()
		end()
	}
}

func TestADatabaseThatIsKilledUnderLoadLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	ferret := ferrettest.Spawn(t)
	s := startSite(t, ferret.URI, ferret.URI)
	s.record(5)
	s.shows()
	end := s.asked()
	for range 3 {
		s.record(10)
		ferret.Kill()
		s.record(10)
		ferret.Start()
	}
	s.shows()
	end()
}

func TestServersWithDatabasesOfTheSameNameAreEachProjectedTo(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	s := startSite(t, ferrettest.Listen(t), ferrettest.Listen(t))
	s.record(10)
	s.shows()
}
