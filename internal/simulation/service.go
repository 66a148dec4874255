package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/webhooks"
)

// service is an instance of the service: what it has in memory goes with a crash, its
// folder stays.
type service struct {
	world  *world
	name   string
	folder string

	generation atomic.Int64 // how often it was started
	ids        atomic.Int64

	hooking chan struct{} // one destination is created at a time: a lock that is waited for stops the virtual time

	mu      sync.Mutex
	running *running // nil: it is down
	opened  chan struct{}
	marked  eventstore.Mark // in its folder
}

// running is the memory of a service.
type running struct {
	ctx      context.Context
	cancel   context.CancelFunc
	nc       *nats.Conn
	events   *eventstore.Store
	vault    *vault.Vault
	commands *commands.Service
	model    *projections.Live
	hooks    *webhooks.Webhooks
	parts    sync.WaitGroup
	close    []func()
}

// client is the name under which the service connects.
func (s *service) client() string { return fmt.Sprint(s.name, s.generation.Load()) }

func (s *service) now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// ready returns a channel that is closed once the service runs.
func (s *service) ready() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// current returns the running service, nil when it is down.
func (s *service) current() *running {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.opened:
		return s.running
	default:
		return nil
	}
}

// start starts the service, and again until it runs, as a supervisor does.
func (s *service) start() {
	s.generation.Add(1)
	r := &running{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	s.running, s.opened = r, make(chan struct{})
	opened := s.opened
	s.mu.Unlock()
	r.parts.Go(func() {
		for r.ctx.Err() == nil {
			err := s.open(r)
			if err == nil {
				s.world.note("%s runs", s.name)
				close(opened)
				return
			}
			r.shut()
			if r.ctx.Err() == nil {
				s.world.note("%s can't start: %v", s.name, err)
				wait(r.ctx, time.Second)
			}
		}
	})
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// shut closes what was opened, last first.
func (r *running) shut() {
	for n := len(r.close) - 1; n >= 0; n-- {
		r.close[n]()
	}
	r.close = nil
}

// open opens what the service consists of, as serve does, and runs it.
func (s *service) open(r *running) (err error) {
	ctx, w := r.ctx, s.world
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	r.nc, err = nats.Connect("nats://127.0.0.1:4222", nats.SetCustomDialer(w.server.Dialer(s.client())), nats.Name("integrations"), nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // the network of a run fails on purpose
	if err != nil {
		return err
	}
	r.close = append(r.close, r.nc.Close)
	if r.events, err = eventstore.Open(ctx, r.nc, eventstore.Config{Replicas: w.replicas, AllowLazySync: true, Node: s.name}); err != nil {
		return err
	}
	if r.vault, err = vault.Open(ctx, r.nc, w.rootKeys(), w.replicas); err != nil {
		return err
	}
	guard := &eventstore.Guard{Store: r.events, Saved: s.marked, Save: func(m eventstore.Mark) error { s.marked = m; return nil }, Log: w.logger}
	if _, err := guard.Check(ctx); err != nil {
		return err
	}
	generations := &sqlite.Generations{Folder: s.folder, Log: w.logger}
	r.model = &projections.Live{Events: r.events, Generations: generations, Mode: projections.Writer, Log: w.logger}
	r.close = append(r.close, func() { _ = r.model.Close(); _ = generations.Close() })
	r.commands = &commands.Service{
		Events: r.events, Vault: r.vault, Rules: w.rules, Now: s.now, NewID: s.unique, Log: w.logger, Deferred: &commands.Deferred{},
	}
	key, err := r.vault.DeriveKey("webhooks")
	if err != nil {
		return err
	}
	if r.hooks, err = webhooks.Open(ctx, r.nc, webhooks.Config{
		Events: r.events, Key: key, Send: w.receiver.send, Show: show, Replicas: w.replicas, NewID: s.unique, Now: s.now, Log: w.logger, Spread: func() float64 { return 0.5 },
	}); err != nil {
		return err
	}
	r.run("guard", w, func() error { return guard.Run(ctx) })
	r.run("secrets", w, func() error { return r.commands.DestroyDeferred(ctx) })
	r.run("model", w, func() error { return r.model.Run(ctx) })
	r.run("webhooks", w, func() error { return r.hooks.Run(ctx) })
	return nil
}

// show is the data of a webhook: the receiver compares it with the log.
func show(c eventstore.Commit) ([]byte, error) {
	return json.Marshal(shown{Position: c.Position, ID: string(c.ID), Command: c.Meta.CommandID})
}

type shown struct {
	Position uint64 `json:"position"`
	ID       string `json:"integration_id"`
	Command  string `json:"command"`
}

// run runs a part of the service. One that ends with an error ends the service.
func (r *running) run(name string, w *world, do func() error) {
	r.parts.Go(func() {
		if err := do(); err != nil && r.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			w.problem("service ended", "%s: %v", name, err)
		}
	})
}

// end ends the service: by a crash it can send nothing more, else it gets the time to stop.
func (s *service) end(crash bool) {
	s.mu.Lock()
	r := s.running
	s.running = nil
	s.mu.Unlock()
	if r == nil {
		return
	}
	if crash {
		s.world.server.Cut(s.client(), 1000*time.Hour)
	}
	r.cancel()
	r.parts.Wait()
	r.shut()
}

// again ends the service and starts it after a while.
func (s *service) again(step Step) {
	if s.isDown() {
		return
	}
	s.end(step.Do == Crash)
	if step.Lose {
		s.marked = eventstore.Mark{}
		_ = os.RemoveAll(s.folder) // then it starts with what is left
	}
	time.Sleep(step.For)
	if s.isDown() {
		s.start()
	}
}

func (s *service) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running == nil
}

// rebuild builds a read model from the log.
func (w *world) rebuild() []projections.Integration {
	r := w.services[services[0]].current()
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	folder := filepath.Join(w.folder, "rebuilt")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.problem("rebuild failed", "%v", err)
		return nil
	}
	generations := &sqlite.Generations{Folder: folder, Log: w.logger}
	model := &projections.Live{Events: r.events, Generations: generations, Mode: projections.Writer, Log: w.logger}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = model.Run(ctx) }()
	waiting, stop := context.WithTimeout(ctx, time.Minute)
	err := model.Wait(waiting, uint64(len(w.log)))
	stop()
	var all []projections.Integration
	if err == nil {
		all, err = everything(ctx, model)
	}
	if err != nil {
		w.problem("rebuild failed", "%v", err)
	}
	cancel()
	<-ended
	_ = model.Close()
	_ = generations.Close()
	return all
}

func everything(ctx context.Context, model *projections.Live) ([]projections.Integration, error) {
	page, err := model.List(ctx, workspace, projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: 10_000})
	return page.Items, err
}
