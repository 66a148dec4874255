package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/status"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
)

func TestAReadModelThatCannotBeReadIsAProblemOfTheReport(t *testing.T) {
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: func(context.Context) (bool, error) { return true, nil }})
	require.NoError(t, err)
	report, err := status.Read(t.Context(), status.Source{
		Service: status.Stopped, Events: events, NATS: nc,
		Generations: func(context.Context) (projections.Generations, error) { return nil, errors.New("the disk is gone") },
	})
	require.NoError(t, err)
	require.Equal(t, "the disk is gone", report.Problem)
	require.False(t, report.Healthy())
	var text strings.Builder
	require.NoError(t, report.WriteText(&text, time.Now()))
	require.Contains(t, text.String(), "wrong: the disk is gone")
	require.Contains(t, text.String(), "INTEGRATIONS")
}

func TestAReportShowsWhenAReaderLastMadeProgress(t *testing.T) {
	now := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	report := &status.Report{
		Followers: []eventstore.Follower{{Name: "billing/integrations", Position: 3, Head: 5, Lag: 2, Progress: now.Add(-time.Minute)}},
		Journals:  []status.Journal{{Path: "/data/calls.journal.damaged", At: now, Bytes: 77}},
		Parked:    []status.Parked{{Workspace: "acme", ID: "crm", Position: 3, Reason: "unknown\x1b type"}},
	}
	require.False(t, report.Healthy())
	var text strings.Builder
	require.NoError(t, report.WriteText(&text, now))
	require.Regexp(t, `billing/integrations +3 +5 +2 +- +1m0s`, text.String())
	require.Contains(t, text.String(), "damaged journal: /data/calls.journal.damaged, last written 2026-05-06T12:00:00Z, 77 bytes")
	require.Contains(t, text.String(), "parked: acme/crm since position 3: unknown\uFFFD type")
}
