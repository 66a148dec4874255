package audit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

var start = time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// probed returns a probe for each letter, a minute apart: h is healthy, a refuses the sign-in, and
// u can't be reached.
func probed(letters string) (all []domain.Probe) {
	for n, letter := range letters {
		status := map[rune]domain.ProbeStatus{'h': domain.Healthy, 'a': domain.AuthFailed, 'u': domain.Unreachable}[letter]
		all = append(all, domain.Probe{At: minute(n), Status: status, Message: string(letter)})
	}
	return all
}

func TestAnIntegrationBrokeAtTheFirstFailureSinceItWasHealthy(t *testing.T) {
	t.Parallel()
	for letters, want := range map[string]struct {
		at, healthy int // minutes; -1: none
		status      domain.ProbeStatus
	}{
		"":        {-1, -1, ""},
		"hhh":     {-1, -1, ""},
		"hha":     {2, 1, domain.AuthFailed},
		"hhau":    {2, 1, domain.AuthFailed}, // the reason of the first failure
		"aauu":    {0, -1, domain.AuthFailed},
		"hahahu":  {5, 4, domain.Unreachable}, // it flaps
		"haaahhh": {-1, -1, ""},
	} {
		o := brokenByProbes(probed(letters))
		if want.at < 0 {
			require.Nil(t, o, letters)
			continue
		}
		require.Equal(t, minute(want.at), o.At, letters)
		require.Equal(t, string(want.status), o.Status, letters)
		if want.healthy < 0 {
			require.Zero(t, o.LastHealthy, letters)
		} else {
			require.Equal(t, minute(want.healthy), o.LastHealthy, letters)
		}
	}
}

func TestCallsShowWhenTheyBeganToFail(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		calls [][2]int // ok and failed
		want  int      // the bucket; -1: none
	}{
		"all work":                  {[][2]int{{9, 0}, {9, 1}}, -1},
		"half fail":                 {[][2]int{{9, 0}, {5, 5}, {4, 6}}, 1},
		"too few to say":            {[][2]int{{9, 0}, {0, 4}}, -1},
		"too few don't end it":      {[][2]int{{9, 0}, {1, 9}, {2, 0}, {0, 9}}, 1},
		"it works again":            {[][2]int{{9, 0}, {0, 9}, {9, 0}}, -1},
		"it breaks again":           {[][2]int{{9, 0}, {0, 9}, {9, 0}, {0, 9}}, 3},
		"nothing shows when it was": {[][2]int{{0, 9}, {0, 9}}, -1},
	} {
		var buckets []Bucket
		for n, c := range row.calls {
			buckets = append(buckets, Bucket{Start: minute(n), OK: c[0], Failed: c[1]})
		}
		o := brokenByCalls(buckets)
		if row.want < 0 {
			require.Nil(t, o, name)
			continue
		}
		require.NotNil(t, o, name)
		require.Equal(t, minute(row.want), o.At, name)
		require.True(t, o.Calls, name)
	}
}

func TestStatesHaveNoGaps(t *testing.T) {
	t.Parallel()
	on := domain.Integration{Configuration: domain.Configuration{Enabled: true}}
	changed := func(n int, enabled bool) Entry {
		i := on
		i.Enabled = enabled
		return Entry{At: minute(n), event: domain.IntegrationUpdated{Integration: i}}
	}
	gone := Entry{At: minute(8), event: domain.IntegrationDeleted{}}
	type is = struct {
		from, to int
		status   domain.ProbeStatus
	}
	for name, row := range map[string]struct {
		probes  []domain.Probe
		changes []Entry
		before  *Entry
		want    []is
	}{
		"nothing is known":        {nil, nil, nil, []is{{2, 10, ""}}},
		"a probe before the span": {probed("a"), nil, nil, []is{{2, 10, domain.AuthFailed}}},
		"it breaks":               {probed("hhhhaa"), nil, nil, []is{{2, 4, domain.Healthy}, {4, 10, domain.AuthFailed}}},
		"it is disabled a while":  {probed("hhh"), []Entry{changed(5, false), changed(7, true)}, nil, []is{{2, 5, domain.Healthy}, {5, 7, Disabled}, {7, 10, domain.Healthy}}},
		"it was disabled before":  {probed("h"), nil, new(changed(1, false)), []is{{2, 10, Disabled}}},
		"it is deleted":           {probed("hhh"), []Entry{gone}, nil, []is{{2, 8, domain.Healthy}, {8, 10, Deleted}}},
	} {
		var got []is
		for _, s := range states(row.probes, row.changes, row.before, minute(2), minute(10)) {
			got = append(got, is{int(s.From.Sub(start).Minutes()), int(s.To.Sub(start).Minutes()), s.Status})
		}
		require.Equal(t, row.want, got, name)
	}
}

func TestASpanHasNoMoreBucketsThanWanted(t *testing.T) {
	t.Parallel()
	for _, span := range []time.Duration{time.Millisecond, time.Minute, time.Hour, 25 * time.Hour, 7 * 24 * time.Hour, 400 * 24 * time.Hour} {
		for _, most := range []int{12, 48, 120, 240} {
			step := StepOf(span, most)
			first, last := start.Add(time.Second).Truncate(step), start.Add(time.Second+span).Truncate(step)
			require.LessOrEqual(t, int(last.Sub(first)/step)+1, most, "%v in %d", span, most)
		}
	}
}

func TestASignInIsNoChangeOfTheState(t *testing.T) {
	t.Parallel()
	created := Entry{At: minute(0), event: domain.IntegrationCreated{Integration: domain.Integration{Configuration: domain.Configuration{Enabled: true}}}}
	signedIn := domain.AuthorizationChanged{}
	permitted := Entry{At: minute(2), Authorization: &signedIn, event: signedIn}
	all := states(probed("hh"), []Entry{created, permitted}, nil, minute(0), minute(5))
	require.Equal(t, domain.Healthy, all[len(all)-1].Status)
}
