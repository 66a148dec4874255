package eventstore

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// ofTests is an era, an integration and its events, for tests of what is in memory.
var (
	eraOfTests = era{log: "x", others: 1, alone: true}
	refOfTests = domain.Ref{Workspace: "acme", ID: "id"}
)

const subjectOfTests = logPrefix + "acme.id"

func commitAt(position uint64) lastCommit {
	c := Commit{Position: position}
	c.Workspace, c.ID = refOfTests.Workspace, refOfTests.ID
	return lastCommit{c, 1}
}

// A load or an append that returns event 1 must not bring it back into memory after event 2 was
// seen, whatever showed event 2 and whenever that was while it was under way.
func TestNothingIsCurrentThatIsEarlierThanWhatWasSeen(t *testing.T) {
	unreadable := commitAt(2)
	unreadable.Err = errors.New("unreadable")
	next := eraOfTests
	next.others++
	sights := map[string]func(*lastCommits){
		"followed":               func(l *lastCommits) { l.follow(eraOfTests, commitAt(2)) },
		"followed, unreadable":   func(l *lastCommits) { l.follow(eraOfTests, unreadable) },
		"followed in an old era": func(l *lastCommits) { l.follow(era{}, commitAt(2)) },
		"noticed":                func(l *lastCommits) { l.notice(subjectOfTests, 2) },
		"noticed, then an era": func(l *lastCommits) {
			l.notice(subjectOfTests, 2)
			l.get(next, refOfTests)
		},
		"loaded": func(l *lastCommits) {
			defer l.begin(refOfTests, false)()
			l.put(eraOfTests, commitAt(2))
		},
		"loaded, unreadable": func(l *lastCommits) {
			defer l.begin(refOfTests, false)()
			l.put(eraOfTests, unreadable)
		},
		"loaded, then evicted": func(l *lastCommits) {
			end := l.begin(refOfTests, false)
			l.put(eraOfTests, commitAt(2))
			end()
			large := commitAt(3)
			large.ID, large.size = "large", maxLastBytes
			l.put(eraOfTests, large)
		},
		"appended": func(l *lastCommits) {
			defer l.begin(refOfTests, true)()
			l.put(eraOfTests, commitAt(2))
		},
		"conflict": func(l *lastCommits) {
			defer l.begin(refOfTests, true)()
			l.forget(refOfTests)
		},
	}
	var l *lastCommits
	var end, endOther func()
	begin := func(appends bool) func() { return func() { end = l.begin(refOfTests, appends) } }
	put := func() { l.put(eraOfTests, commitAt(1)) }
	ends := func() { end() }
	forget := func() { l.forget(refOfTests) }
	other := func() { endOther = l.begin(refOfTests, false) }
	otherEnds := func() { endOther() }
	see := func() {} // stands for each sight
	type step struct {
		name string
		do   func()
	}
	load, appends := step{"load begins", begin(false)}, step{"append begins", begin(true)}
	puts, ended, sees := step{"put", put}, step{"end", ends}, step{"see", see}
	for _, order := range [][]step{
		{load, sees, puts, ended},
		{load, puts, sees, ended},
		{load, puts, ended, sees},
		{appends, sees, puts, ended},
		{appends, puts, sees, ended},
		{appends, puts, ended, sees},
		{{"known", put}, load, sees, puts, ended},
		{{"known", put}, appends, sees, puts, ended},
		{load, {"other begins", other}, sees, {"other ends", otherEnds}, puts, ended},
		{load, {"other begins", other}, sees, puts, ended, {"other ends", otherEnds}},
		{appends, {"outcome unknown", forget}, ended, load, sees, puts, ended},
		{appends, {"other begins", other}, {"outcome unknown", forget}, ended, sees, {"other puts", put}, {"other ends", otherEnds}},
		{{"other begins", other}, load, sees, {"other puts", put}, {"other ends", otherEnds}, puts, ended},
	} {
		var names []string
		for _, s := range order {
			names = append(names, s.name)
		}
		for sight, see := range sights {
			t.Run(strings.Join(names, ", ")+"/"+sight, func(t *testing.T) {
				l = &lastCommits{}
				seen := false
				shown := func() {
					for _, now := range []era{eraOfTests, next} {
						if c, known := l.current(now, refOfTests); known && seen {
							require.GreaterOrEqual(t, c.Position, uint64(2))
						}
					}
				}
				for _, s := range order {
					if s.name == "see" {
						see(l)
						seen = true
					} else {
						s.do()
					}
					if seen && s.name != "see" {
						shown()
					}
				}
				shown()
				require.Empty(t, l.under)
			})
		}
	}
}

func TestAnEventBelowAnIntegrationIsNotALaterOneOfIt(t *testing.T) {
	var l lastCommits
	end := l.begin(refOfTests, false)
	l.notice(subjectOfTests+".crm", 2)
	l.notice(probePrefix+"acme.id", 3)
	l.notice(logPrefix+"acme.other", 4)
	l.put(eraOfTests, commitAt(1))
	end()
	c, known := l.current(eraOfTests, refOfTests)
	require.True(t, known)
	require.Equal(t, uint64(1), c.Position)
}

// Readers of one log, as its server orders them: what each reads is what was stored last.
func TestManyReadersNeverShowLessThanWasSeen(t *testing.T) {
	var l lastCommits
	var stored, seen atomic.Uint64
	stored.Store(1)
	var working sync.WaitGroup
	record := func(position uint64) {
		for at := seen.Load(); at < position && !seen.CompareAndSwap(at, position); at = seen.Load() {
		}
	}
	for range 4 {
		working.Go(func() {
			for range 2000 {
				before := seen.Load()
				if c, known := l.current(eraOfTests, refOfTests); known && c.Position < before {
					t.Errorf("event %d is shown after %d was seen", c.Position, before)
				}
				end := l.begin(refOfTests, false)
				position := stored.Load()
				l.put(eraOfTests, commitAt(position))
				end()
				record(position)
			}
		})
	}
	for _, see := range []func(uint64){
		func(position uint64) { l.notice(subjectOfTests, position) },
		func(position uint64) { l.follow(eraOfTests, commitAt(position)) },
	} {
		working.Go(func() {
			for range 2000 {
				position := stored.Add(1)
				see(position)
				record(position)
			}
		})
	}
	working.Wait()
	require.Empty(t, l.under)
}
