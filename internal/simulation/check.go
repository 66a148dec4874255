package simulation

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/projections"
)

// readLog reads the log where it is stored.
func (w *world) readLog() []entry {
	var all []entry
	for _, m := range w.server.Messages("INTEGRATIONS") {
		e, err := entryOf(m, w.began)
		if err != nil {
			w.problem("event unreadable", "%d: %v", m.Sequence, err)
		}
		all = append(all, e)
	}
	return all
}

// missing returns what was promised and is not there yet, "" when nothing is.
func (w *world) missing() string {
	log := w.readLog()
	head := uint64(len(log))
	for _, name := range services {
		r := w.services[name].current()
		if r == nil {
			return "service down: " + name + " does not run"
		}
		if err := r.events.Intact(); err != nil {
			return fmt.Sprintf("changes refused: %s: %v", name, err)
		}
		if at := r.model.Position(); at < head {
			return fmt.Sprintf("read model behind: that of %s is at %d of %d", name, at, head)
		}
	}
	w.receiver.mu.Lock()
	got := map[string]bool{}
	for _, d := range w.receiver.got {
		got[fmt.Sprint(d.url, " ", d.Position)] = true
	}
	w.receiver.mu.Unlock()
	for _, h := range w.hooks {
		for _, e := range log {
			if e.position > h.after && !got[fmt.Sprint(h.url, " ", e.position)] {
				return fmt.Sprintf("webhook lost: event %d (%s) was not delivered to %s", e.position, e.request, h.url)
			}
		}
	}
	if n := len(w.server.Messages("WEBHOOKS")); n > 0 {
		return fmt.Sprintf("webhook not settled: %d are left on the stream", n)
	}
	return ""
}

func cutKind(problem string) (kind, what string) {
	kind, what, _ = strings.Cut(problem, ": ")
	return kind, what
}

// check holds everything that was answered to what is in the log, and what is kept beside
// the log to it.
func (w *world) check() {
	w.checkService()
	w.log = w.readLog()
	w.checkLog()
	w.checkOperations()
	w.checkReads()
	w.checkDeliveries()
	w.checkModels()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.problems)
	w.problems = slices.Compact(w.problems)
}

// checkService makes a change at each service: nothing fails any more.
func (w *world) checkService() {
	for n, name := range services {
		w.change(Step{Do: Create, Number: 1_000_000 + n, On: name, Of: "last-" + name})
		if o := w.operations[len(w.operations)-1]; o.outcome != acknowledged {
			w.problem("unavailable", "%s refuses a change though nothing fails any more: %s", name, o.result())
		}
	}
	deadline := time.Now().Add(time.Minute)
	for w.missing() != "" && time.Now().Before(deadline) && len(w.problems) == 0 {
		time.Sleep(time.Second)
	}
}

// checkLog holds the log to itself.
func (w *world) checkLog() {
	last, byRequest := map[string]entry{}, map[string]uint64{}
	for n, e := range w.log {
		if e.position != uint64(n)+1 {
			w.problem("gap in the log", "position %d follows %d", e.position, n)
		}
		if before := last[e.name]; e.version != before.version+1 {
			w.problem("gap in versions", "%s: version %d at %d follows version %d at %d", e.name, e.version, e.position, before.version, before.position)
		}
		if first, twice := byRequest[e.request]; twice {
			w.problem("made twice", "request %s, at %d and %d", e.request, first, e.position)
		}
		last[e.name], byRequest[e.request] = e, e.position
	}
}

// during returns the states of an integration in the log between two moments.
func (w *world) during(name string, from, to time.Duration) []state {
	all := []state{{}}
	for _, e := range w.log {
		if e.name != name || e.at > to {
			continue
		}
		s := e.state()
		if e.at < from {
			all = all[:0]
		}
		all = append(all, s)
	}
	return all
}

// checkOperations holds what clients were answered to the log.
func (w *world) checkOperations() {
	byRequest, asked := map[string]entry{}, map[string]bool{}
	for _, e := range w.log {
		byRequest[e.request] = e
	}
	for _, o := range w.operations {
		var made []entry
		for _, request := range o.requests {
			asked[request] = true
			if e, there := byRequest[request]; there {
				made = append(made, e)
			}
		}
		if o.Do == Look {
			w.checkLook(o)
			continue
		}
		if len(made) > 1 {
			w.problem("made twice", "#%d %s, under one idempotency key, at %d and %d", o.Number, o.Step, made[0].position, made[1].position)
		}
		there := len(made) > 0
		whole := there && made[0].name == o.name && made[0].deleted == (o.Do == Delete) && made[0].marker == o.marker
		switch {
		case o.outcome == acknowledged && (!whole || made[0].position != o.position || made[0].version != o.version):
			w.problem("lost", "#%d %s was acknowledged as version %d at %d; the log has %+v", o.Number, o.Step, o.version, o.position, made)
		case o.outcome == refused && there:
			w.problem("refused and made", "#%d %s was refused with %s; the log has %+v", o.Number, o.Step, o.code, made)
		case o.outcome == unknown && there && !whole:
			w.problem("made in part", "#%d %s: %+v", o.Number, o.Step, made)
		case o.outcome == refused:
			w.checkRefusal(o)
		}
	}
	for _, e := range w.log {
		if !asked[e.request] {
			w.problem("nobody asked", "for %+v", e)
		}
	}
}

// checkRefusal reports a refusal that the log at no moment of the operation justifies.
func (w *world) checkRefusal(o *operation) {
	states := w.during(o.name, o.call, o.answer)
	justified := false
	switch o.code {
	case "unavailable", "changing_too_fast":
		return
	case "name_taken":
		justified = slices.ContainsFunc(states, state.exists)
	case "integration_not_found":
		justified = slices.ContainsFunc(states, func(s state) bool { return !s.exists() })
	case "version_mismatch":
		justified = slices.ContainsFunc(states, func(s state) bool { return s.exists() && s.version != o.ifVersion })
	}
	if !justified {
		w.problem("refused without a reason", "#%d %s: %s; between its call and its answer %s was %+v", o.Number, o.Step, o.code, o.name, states)
	}
}

// checkLook holds a look at the log to what it had between its call and its answer.
func (w *world) checkLook(o *operation) {
	if o.outcome == refused {
		w.checkRefusal(o)
	}
	if o.outcome != acknowledged {
		return
	}
	states := w.during(o.name, o.call, o.answer)
	if !slices.ContainsFunc(states, func(s state) bool {
		return s.exists() && s.marker == o.shown && (s.version == o.version || s.version+1 == o.version)
	}) {
		w.problem("stale look", "#%d %s showed version %d, %q; between its call and its answer %s was %+v", o.Number, o.Step, o.version, o.shown, o.name, states)
	}
}

// checkReads holds reads to the position that the read model claimed to have reached: the
// state there, or a later one (ADR 8).
func (w *world) checkReads() {
	for _, r := range w.reads {
		var at state
		ok := false
		for _, e := range w.log {
			if e.name == r.name && e.position <= r.position {
				at = e.state()
			}
			if e.name == r.name && e.position > r.position {
				ok = ok || r.is(e.state())
			}
		}
		if !ok && !r.is(at) {
			w.problem("stale read", "after #%d, %s claimed position %d and showed %s at version %d, %q; it was %+v", r.number, r.on, r.position, r.name, r.version, r.marker, at)
		}
	}
}

func (r read) is(s state) bool {
	if !r.exists {
		return !s.exists()
	}
	return r.version == s.version && r.marker == s.marker
}

// checkModels compares each read model with one that is built from the log, and both with
// the log; and opens every secret that an integration has.
func (w *world) checkModels() {
	want := map[string]state{}
	for _, e := range w.log {
		if want[e.name] = e.state(); e.deleted {
			delete(want, e.name)
		}
	}
	if len(w.problems) > 0 {
		return // a read model may never catch up
	}
	rebuilt := w.rebuild()
	for _, name := range services {
		r := w.services[name].current()
		if r == nil {
			continue
		}
		all, err := everything(r.ctx, r.model)
		if err != nil {
			w.problem("read model unreadable", "of %s: %v", name, err)
			continue
		}
		for i := range max(len(all), len(rebuilt)) {
			if has, other := at(all, i), at(rebuilt, i); has != other {
				w.problem("read model differs", "that of %s has %s, a rebuild has %s", name, has, other)
			}
		}
		for _, i := range all {
			if want[i.Name] != (state{i.Version, i.DisplayName}) {
				w.problem("read model differs", "%s shows %s at version %d, %q; the log leads to %+v", name, i.Name, i.Version, i.DisplayName, want[i.Name])
			}
		}
		if len(all) != len(want) {
			w.problem("read model differs", "%s shows %d integrations, the log leads to %d", name, len(all), len(want))
		}
		for _, i := range all {
			for _, ref := range i.Secrets() {
				if _, err := r.vault.Open(r.ctx, i.Owner(), ref); err != nil {
					w.problem("secret lost", "of %s, version %d: %v", i.Name, i.Version, err)
				}
			}
		}
	}
}

// at describes one of some integrations completely.
func at(all []projections.Integration, n int) string {
	if n >= len(all) {
		return "nothing"
	}
	data, err := json.Marshal(all[n])
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// checkGoroutines reports goroutines that the services left.
func (w *world) checkGoroutines() {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for n, one := range strings.Split(string(stacks), "\n\n") {
		header, _, _ := strings.Cut(one, "\n")
		if n > 0 && strings.Contains(header, "synctest bubble") && !strings.Contains(header, "running") && !strings.Contains(one, "internal/synctest.Run") && !strings.Contains(one, "testing/synctest.testingSynctestTest") {
			w.problem("goroutine left", "%s", one)
		}
	}
}
