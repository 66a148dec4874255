package accesslog

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// However many workspaces are flooded, up to the number that is guarded, another one has its few records.
func TestFloodsInManyWorkspacesLeaveAFewRecordsToAnother(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]Record{
		"without a key": {Kind: Denied, aimed: true}, "with a key": {Kind: Denied, Key: "k"}, "use of keys": {Kind: Used, Key: "k"},
	} {
		var g gathering
		written, open := map[domain.Workspace]int{}, 0
		add := func(w domain.Workspace, address string, at time.Time) {
			r := kind
			r.Workspace, r.Address, r.Count, r.First, r.Last = w, address, 1, at, at
			g.add(r)
		}
		due := func(now time.Time) (records []Record) {
			for n := range g.classes {
				open = max(open, len(g.classes[n].open))
			}
			records = g.due(now, false)
			for _, r := range records {
				if r.Kind != Cut {
					written[r.Workspace]++
				}
			}
			return records
		}
		const flooded, each = 49, 600
		for n := range flooded {
			for address := range each {
				add(domain.Workspace(fmt.Sprint("evil-", n)), fmt.Sprint(address), noon)
			}
		}
		due(noon.Add(time.Second))
		for address := range 100 {
			add("acme", fmt.Sprint(address), noon.Add(time.Second))
		}
		due(noon.Add(2 * time.Second))
		require.GreaterOrEqual(t, written["acme"], few, name)
		before := written["acme"]
		for minute := range 40 { // the floods go on
			now := noon.Add(time.Duration(minute+20) * time.Minute)
			for n := range flooded {
				for address := range 100 {
					add(domain.Workspace(fmt.Sprint("evil-", n)), fmt.Sprint(minute, "-", address), now)
				}
			}
			due(now)
			add("acme", fmt.Sprint("later-", minute), now)
			due(now.Add(time.Second))
		}
		require.Greater(t, written["acme"], before+2, name)
		require.LessOrEqual(t, open, limits(used).open+reserve, name)
		due(noon.Add(1000 * time.Hour))
		due(noon.Add(2000 * time.Hour))
		for n := range g.classes {
			require.Empty(t, g.classes[n].by, "what nobody uses is forgotten")
		}
	}
}

// The reserve is bounded over all workspaces.
func TestFloodsInAllWorkspacesAreBoundedToo(t *testing.T) {
	t.Parallel()
	var g gathering
	for n := range 5000 {
		for address := range 10 {
			r := denied("", fmt.Sprint(address), noon)
			r.Workspace, r.aimed = domain.Workspace(fmt.Sprint("w-", n)), true
			g.add(r)
		}
	}
	limit := limits(aimed)
	require.LessOrEqual(t, len(g.classes[aimed].open), limit.open+reserve)
	denials := 0
	for _, r := range g.due(noon.Add(time.Second), false) {
		if r.Kind == Denied {
			denials++
		}
	}
	require.LessOrEqual(t, denials, int(limit.burst)+reserve)
}

func TestWhatWasCutOfAWorkspaceHasIt(t *testing.T) {
	t.Parallel()
	var g gathering
	of := map[domain.Workspace]domain.Workspace{}
	for n := range maxCut + 1 {
		g.cutOff(Record{Kind: Denied, Workspace: domain.Workspace(fmt.Sprint("w", n)), Key: "k", Count: 1, First: noon, Last: noon})
	}
	for _, r := range g.due(noon.Add(time.Hour), false) {
		of[r.Workspace] = r.Asked
	}
	require.Len(t, of, maxCut+1)
	for w, asked := range of {
		if w == all {
			require.Empty(t, asked)
		} else {
			require.Equal(t, w, asked)
		}
	}
}
