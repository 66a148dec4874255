package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// outcome is how an operation ended, as its client knows.
type outcome string

const (
	acknowledged outcome = "acknowledged"
	refused      outcome = "refused"
	unknown      outcome = "unknown" // it may have been made, or may yet be, or never
)

// operation is a change, or a look at the log, and how it ended.
type operation struct {
	Step
	name         string   // of the integration
	marker       string   // the display name that it gives
	ifVersion    uint64   // 0: any
	requests     []string // the ids of its attempts
	call, answer time.Duration

	outcome  outcome
	code     string
	version  uint64 // that was answered
	shown    string // by a look: the display name
	position uint64
}

// read is a read of the read model that was answered.
type read struct {
	number   int
	on, name string
	position uint64 // the read model had reached it, as it claimed
	exists   bool
	version  uint64
	marker   string
}

// patience is how long a client waits for an answer.
const patience = 15 * time.Second

// operate makes the operation of a step.
func (w *world) operate(s Step) {
	switch {
	case s.Do == Get:
		w.get(s)
	case s.Do == Hook:
		w.hook(s)
	case s.Burst > 0:
		var all sync.WaitGroup
		for n := range s.Burst {
			one := s
			one.Do, one.Burst, one.Of = Create, 0, fmt.Sprint("burst", s.Number, "x", n)
			all.Go(func() { w.change(one) })
		}
		all.Wait()
	default:
		w.change(s)
	}
}

// change makes a change, or a look at the log, and keeps how it ended.
func (w *world) change(s Step) {
	o := &operation{Step: s, name: s.Of, call: time.Since(w.began)}
	label := fmt.Sprint("op", s.Number)
	if s.Of != "" && len(s.Of) > 5 {
		label += "-" + s.Of
	}
	if s.Do == Create || s.Do == Update {
		o.marker = label
	}
	w.mu.Lock()
	if s.IfVersion {
		o.ifVersion = w.seen[s.Of]
	}
	w.mu.Unlock()
	if s.Twice {
		again := *o
		var both sync.WaitGroup
		both.Go(func() { w.attempts(o, label+"a", w.services[s.On]) })
		both.Go(func() { w.attempts(&again, label+"b", w.services[other(s.On)]) })
		both.Wait()
		w.join(o, again)
	} else {
		w.attempts(o, label, w.services[s.On])
	}
	o.answer = time.Since(w.began)
	if len(o.requests) == 0 {
		return
	}
	w.note("#%d %s → %s", s.Number, s, o.result())
	w.mu.Lock()
	w.operations = append(w.operations, o)
	w.mu.Unlock()
}

// join makes one operation of two requests with one idempotency key.
func (w *world) join(o *operation, again operation) {
	o.requests = append(o.requests, again.requests...)
	if o.outcome == acknowledged && again.outcome == acknowledged && (o.position != again.position || o.version != again.version) {
		w.problem("made twice", "#%d was acknowledged twice under one idempotency key, at %d as version %d and at %d as version %d", o.Number, o.position, o.version, again.position, again.version)
	}
	switch {
	case o.outcome == acknowledged:
	case again.outcome == acknowledged:
		requests := o.requests
		*o = again
		o.requests = requests
	case o.outcome != again.outcome:
		o.outcome = unknown
	}
}

func other(name string) string { return services[1-slices.Index(services, name)] }

func (o *operation) result() string {
	switch o.outcome {
	case acknowledged:
		return fmt.Sprintf("acknowledged, version %d at %d", o.version, o.position)
	case refused:
		return "refused: " + o.code
	default:
		return "unknown: " + o.code
	}
}

// attempts makes the requests of an operation: one, or with an idempotency key as many as it
// takes to get an answer.
func (w *world) attempts(o *operation, label string, at *service) {
	const repeats = 12
	for n := range repeats {
		r := at.current()
		if r == nil && n == 0 && !o.Key {
			return // nobody is there
		}
		if r != nil {
			request := fmt.Sprint(label, ".", n)
			o.requests = append(o.requests, request)
			w.once(o, r, request, at.name)
		}
		if !o.Key || o.outcome == acknowledged {
			return
		}
		if o.outcome == refused && o.code != "unavailable" {
			if n > 0 {
				o.outcome = unknown // this shows nothing about the attempts before
			}
			return
		}
		at = w.services[other(at.name)]
		time.Sleep(700 * time.Millisecond)
	}
	if len(o.requests) > 1 {
		o.outcome = unknown
	}
}

// once makes one request, and reads what it wrote.
func (w *world) once(o *operation, r *running, request, on string) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	condition := commands.Condition{DryRun: o.Do == Look}
	if o.Key {
		condition.IdempotencyKey, condition.Request = fmt.Sprint("key", o.Number, o.name), fmt.Sprint("hash", o.Number)
	}
	if o.ifVersion > 0 {
		condition.IfVersions = []uint64{o.ifVersion}
	}
	out, err := w.ask(ctx, o, r, request, condition)
	o.code = ""
	var why *domain.Error
	switch {
	case err == nil:
		o.outcome, o.version, o.position, o.shown = acknowledged, out.Integration.Version, out.Position, out.Integration.DisplayName
	case r.ctx.Err() != nil, ctx.Err() != nil, !errors.As(err, &why): // nobody gets this answer
		o.outcome, o.code = unknown, "no answer"
		if err != nil && r.ctx.Err() == nil && ctx.Err() == nil {
			w.problem("internal error", "#%d %s: %v", o.Number, o.Step, err)
		}
	case why.Kind == domain.Unavailable && why.Code == "outcome_unknown":
		o.outcome, o.code = unknown, why.Code
	case why.Kind == domain.Unavailable:
		o.outcome, o.code = refused, "unavailable"
	default:
		o.outcome, o.code = refused, why.Code
	}
	if o.outcome == acknowledged && o.Do.writes() {
		w.saw(o.name, o.version, o.position)
		w.readBack(o, r, on)
	}
}

// ask sends the command of an operation.
func (w *world) ask(ctx context.Context, o *operation, r *running, request string, on commands.Condition) (commands.Outcome, error) {
	doc := domain.Document{}
	if o.marker != "" {
		doc["display_name"] = o.marker
	}
	if o.Secret {
		doc["auth"] = map[string]any{"bearer_token_value": "secret of " + o.marker}
	}
	by, id := w.caller(request), domain.NewID(workspace, o.name)
	switch o.Do {
	case Create:
		doc["name"], doc["base_url"] = o.name, "https://crm.example.com"
		return r.commands.CreateIntegration(ctx, by, doc, on)
	case Delete:
		return r.commands.DeleteIntegration(ctx, by, id, "", on)
	default:
		return r.commands.UpdateIntegration(ctx, by, id, doc, on)
	}
}

// saw keeps what was acknowledged or shown.
func (w *world) saw(name string, version, position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[name] = max(w.seen[name], version)
	w.newest = max(w.newest, position)
}

// readBack reads what was written, from the service that wrote it and from the other.
func (w *world) readBack(o *operation, r *running, on string) {
	w.show(o.Number, r, on, o.name, o.position)
	there := w.services[other(on)].current()
	if there == nil {
		return
	}
	w.show(o.Number, there, other(on), o.name, o.position)
	if o.Secret {
		w.open(o, there, other(on))
	}
}

// open opens the secrets that were written, as a call does. They may be replaced meanwhile.
func (w *world) open(o *operation, r *running, on string) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	load := func() (i domain.Integration, ok bool) {
		last, err := r.events.LoadFromLeader(ctx, workspace, domain.NewID(workspace, o.name))
		i = domain.Evolve(domain.Integration{}, last.Event)
		return i, err == nil && i.Version == o.version
	}
	i, same := load()
	if !same {
		return
	}
	for _, ref := range i.Secrets() {
		_, err := r.vault.Open(ctx, i.Owner(), ref)
		if err == nil || domain.KindOf(err) == domain.Unavailable || ctx.Err() != nil {
			continue
		}
		if _, same := load(); same {
			w.problem("secret lost", "after #%d, %s can't open the secret of %s, version %d: %v", o.Number, on, i.Name, i.Version, err)
		}
	}
}

// show reads an integration from the read model once that claims to have reached a position.
func (w *world) show(number int, r *running, on, name string, position uint64) {
	ctx, cancel := context.WithTimeout(r.ctx, time.Second)
	defer cancel()
	if r.model.Wait(ctx, position) != nil {
		return // it claims nothing
	}
	shown, err := projections.Reader{Store: r.model}.Get(ctx, workspace, domain.NewID(workspace, name))
	result := read{number: number, on: on, name: name, position: position, exists: err == nil, version: shown.Version, marker: shown.DisplayName}
	if err != nil && domain.KindOf(err) != domain.NotFound {
		return
	}
	w.mu.Lock()
	w.reads = append(w.reads, result)
	w.mu.Unlock()
}

// get reads from the read model, at the newest position that was acknowledged.
func (w *world) get(s Step) {
	w.mu.Lock()
	position := w.newest
	w.mu.Unlock()
	if r := w.services[s.On].current(); r != nil {
		w.show(s.Number, r, s.On, s.Of, position)
	}
}

// hook creates a webhook destination.
func (w *world) hook(s Step) {
	r := w.services[s.On].current()
	if r == nil {
		return
	}
	w.services[s.On].hooking <- struct{}{}
	defer func() { <-w.services[s.On].hooking }()
	url := fmt.Sprintf("https://receiver.example/%d", s.Number)
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	d, _, err := r.hooks.Create(ctx, workspace, domain.Document{"url": url})
	if err != nil {
		w.note("#%d %s → %v", s.Number, s, err)
		return
	}
	w.note("#%d %s → %s", s.Number, s, d.ID)
	w.mu.Lock()
	w.hooks = append(w.hooks, destination{url, d.AfterChange})
	w.mu.Unlock()
}
