package health_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// probe records a probe of an integration, at the time of the clock.
func (f *fixture) probe(t *testing.T, id domain.ID) {
	t.Helper()
	_, position, err := f.ProbeEnabled(t.Context(), commands.Caller{Workspace: "acme"}, id, fmt.Sprint("probe-", id, f.clock.now()), nil)
	require.NoError(t, err)
	require.NotZero(t, position)
}

// last returns the last event of an integration as a message to publish again.
func (f *fixture) last(t *testing.T, id domain.ID) *nats.Msg {
	t.Helper()
	stream, err := f.jetstream(t).Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	stored, err := stream.GetLastMsgForSubject(t.Context(), "integrations.acme."+string(id))
	require.NoError(t, err)
	msg := nats.NewMsg(stored.Subject)
	msg.Data = stored.Data
	for name, values := range stored.Header {
		if !strings.HasPrefix(name, "Nats-") {
			msg.Header[name] = values
		}
	}
	return msg
}

func TestAScheduleOfTheReadModelIsTheOneOfTheLog(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	u := listen(t)
	check := func(seconds string) domain.Document {
		return domain.Document{"health_check": map[string]any{"path": "", "interval_seconds": number(seconds)}}
	}
	s := f.scheduler()
	s.Now = f.clock.now
	same := func(scheduled, missed int) {
		t.Helper()
		head, err := f.Events.Head(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.model.Wait(t.Context(), head))
		plan, order, at, err := s.Plan(t.Context())
		require.NoError(t, err)
		wanted, wantedOrder, wantedAt, err := s.PlanOfLog(t.Context())
		require.NoError(t, err)
		require.Equal(t, wanted, plan)
		require.Equal(t, wantedAt, at)
		require.Len(t, plan, scheduled)
		require.Len(t, order, missed)
		require.Equal(t, wantedOrder, order)
	}
	same(0, 0)
	usual, own, asked, off, gone := f.create(t, "usual", u.URL, true), f.create(t, "own", u.URL, true), f.create(t, "asked", u.URL, true), f.create(t, "off", u.URL, true), f.create(t, "gone", u.URL, true)
	again, broken, mended := f.create(t, "again", u.URL, true), f.create(t, "broken", u.URL, true), f.create(t, "mended", u.URL, true)
	f.create(t, "never", u.URL, true)
	f.change(t, own, check("60"))
	f.change(t, asked, check("0"))
	f.change(t, mended, check("86400"))
	same(8, 8)
	for _, id := range []domain.ID{own, mended, again, broken, gone, off, usual} {
		f.probe(t, id)
		f.clock.add(7 * time.Second)
	}
	same(8, 2)
	f.change(t, off, domain.Document{"enabled": false})
	for _, id := range []domain.ID{gone, again} {
		_, err := f.DeleteIntegration(t.Context(), ann, id, "", commands.Condition{})
		require.NoError(t, err)
	}
	f.create(t, "again", u.URL, true)
	state := f.last(t, mended)
	f.scribble(t, mended)
	f.scribble(t, broken)
	same(4, 2)
	_, err := f.jetstream(t).PublishMsg(t.Context(), state)
	require.NoError(t, err)
	f.clock.add(time.Hour)
	same(5, 4)
}

func TestAScheduleWaitsForAReadModel(t *testing.T) {
	f := startOn(t, natstest.Connect(t))
	id := f.create(t, "crm", listen(t).URL, true)
	model := &projections.Live{Events: f.Events, Generations: &sqlite.Generations{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { require.NoError(t, model.Close()) })
	s := f.scheduler()
	s.Model = model
	planned := make(chan map[domain.Ref]health.Planned, 1)
	f.run(t, func(ctx context.Context) error {
		plan, _, _, err := s.Plan(ctx)
		planned <- plan
		return err
	})
	require.Empty(t, planned)
	f.run(t, model.Run)
	require.Contains(t, <-planned, domain.Ref{Workspace: "acme", ID: id})
}
