package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestProbesAreCountedByTheDay(t *testing.T) {
	i := created(t, plain)
	seen := func(last domain.IntegrationProbed, status domain.ProbeStatus, at time.Time) domain.IntegrationProbed {
		return i.Probed(last, domain.Probe{Status: status, At: at})
	}
	first := seen(domain.IntegrationProbed{}, domain.Healthy, noon)
	require.True(t, first.Changed())
	require.Equal(t, []domain.ProbeDay{{Date: "2026-05-06", Healthy: 1, Total: 1}}, first.Days)

	second := seen(first, domain.Healthy, noon.Add(time.Minute))
	require.False(t, second.Changed())
	third := seen(second, domain.Timeout, noon.Add(24*time.Hour))
	require.True(t, third.Changed())
	require.Equal(t, domain.Healthy, third.Previous)
	require.Equal(t, []domain.ProbeDay{{Date: "2026-05-06", Healthy: 2, Total: 2}, {Date: "2026-05-07", Total: 1}}, third.Days)
	require.Equal(t, []domain.ProbeDay{{Date: "2026-05-06", Healthy: 1, Total: 1}}, first.Days, "a later probe doesn't modify an earlier record")

	late := seen(third, domain.Healthy, noon) // a clock that went back
	require.Equal(t, domain.ProbeDay{Date: "2026-05-07", Healthy: 1, Total: 2}, late.Days[1])

	for day := range 60 {
		third = seen(third, domain.Healthy, noon.AddDate(0, 0, day+2))
	}
	require.Len(t, third.Days, 30)
	require.Equal(t, "2026-06-07", third.Days[0].Date)
}

func TestAnotherIncarnationStartsNewCounts(t *testing.T) {
	i := created(t, plain)
	last := i.Probed(domain.IntegrationProbed{}, domain.Probe{Status: domain.Healthy, At: noon})
	i.Incarnation = 5
	next := i.Probed(last, domain.Probe{Status: domain.Healthy, At: noon})
	require.Empty(t, next.Previous)
	require.True(t, next.Changed())
	require.Equal(t, 1, next.Days[0].Total)
}

func TestProbesAreCountedByTheHour(t *testing.T) {
	i := created(t, plain)
	var last domain.IntegrationProbed
	seen := func(status domain.ProbeStatus, at time.Duration) domain.ProbeHours {
		last = i.Probed(last, domain.Probe{Status: status, At: noon.Add(at)})
		return last.Hours
	}
	first := seen(domain.Healthy, 0)
	require.Equal(t, domain.ProbeHours{Last: "2026-05-06T12", Healthy: []int{1}, Total: []int{1}}, first)
	require.Equal(t, domain.ProbeHours{Last: "2026-05-06T12", Healthy: []int{1}, Total: []int{2}}, seen(domain.Timeout, time.Minute))
	require.Equal(t, []int{1}, first.Total, "a later probe doesn't modify an earlier record")
	later := seen(domain.Healthy, 3*time.Hour)
	require.Equal(t, domain.ProbeHours{Last: "2026-05-06T15", Healthy: []int{1, 0, 0, 1}, Total: []int{2, 0, 0, 1}}, later)
	require.Equal(t, noon.Truncate(time.Hour), later.Start(0))
	require.Equal(t, []int{2, 0, 0, 2}, seen(domain.Healthy, 0).Total, "a clock that went back")
	for hour := range 60 {
		later = seen(domain.Healthy, time.Duration(4+hour)*time.Hour)
	}
	require.Len(t, later.Total, 24)
	require.Equal(t, domain.ProbeHours{Last: "2026-05-12T12", Healthy: []int{0}, Total: []int{1}}, seen(domain.Timeout, 6*24*time.Hour))
	require.Zero(t, domain.ProbeHours{}.Start(0))
}
