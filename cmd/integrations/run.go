package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/internal/memlimit"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/usage"
)

// maxReadWait bounds how long a read waits while the read model is being built.
const maxReadWait = time.Second

// serve runs the service until ctx ends, and calls ready with its URL once it accepts
// requests.
func serve(ctx context.Context, c serveCommand, log *slog.Logger, ready func(url string)) (err error) {
	if err := errors.Join(c.checkRoles(), c.checkPublicURL(), checkKeepCalls(c.KeepCalls)); err != nil {
		return err
	}
	if err := c.folder().Prepare(); err != nil {
		return err
	}
	now := clock
	egress := c.Egress.config(now)
	if egress.Profiles, err = c.profiles(); err != nil {
		return err
	}
	egress.Private = c.secretFiles()
	egress.Gate = admission.New(memlimit.Set(log))

	// The log, the vault and the API keys. They outlive ctx, so that requests in
	// flight can complete.
	open, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	conn, err := waitFor(ctx, c, log, "NATS", func() (*natsconn.Conn, error) { return c.connect(log) })
	if err != nil {
		return err
	}
	defer conn.Close()
	events, err := waitFor(ctx, c, log, "JetStream", func() (*eventstore.Store, error) {
		return eventstore.Open(open, conn.NATS, eventstore.Config{Replicas: c.Replicas, AllowLazySync: c.AllowLazySync, Durable: conn.Durable, Node: nodeName()})
	})
	if err != nil {
		return err
	}
	secrets, err := c.openVault(open, conn, events)
	if err != nil {
		return err
	}
	keys, err := access.Open(open, conn.NATS, c.Replicas, now, log)
	if err != nil {
		return err
	}
	guard, err := c.guard(open, events, log)
	if err != nil {
		return err
	}
	if err := c.ensureOperator(open, keys, events, log); err != nil {
		return err
	}

	// The read model.
	generations, err := waitFor(ctx, c, log, "the read store", func() (projections.Generations, error) { return c.openGenerations(open, log) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, generations.Close()) }()
	head, err := events.Head(open)
	if err != nil {
		return err
	}
	model := &projections.Live{Events: events, Generations: generations, Mode: c.part(), Log: log}
	defer func() { err = errors.Join(err, model.Close()) }()
	reader := projections.Reader{Store: model, Builtins: c.settings(), CaughtUp: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, maxReadWait)
		defer cancel()
		return model.Wait(ctx, head)
	}}
	cursorKey, err := secrets.DeriveKey("cursors")
	if err != nil {
		return err
	}
	cursors, err := projections.NewCursors(cursorKey)
	if err != nil {
		return err
	}

	// Upstreams, commands and the API.
	upstreams, err := connectors.New(egress)
	if err != nil {
		return err
	}
	consents, err := authorizations.Open(open, conn.NATS, authorizations.Config{
		Vault: secrets, Upstream: upstreams, Replicas: c.Replicas, Now: now, NewID: newID, Log: log,
	})
	if err != nil {
		return err
	}
	service := &commands.Service{
		Authorizations: consents, Events: events, Vault: secrets, Connectors: upstreams, Rules: upstreams.Rules(), PublicKey: connectors.PublicKey, GenerateKey: connectors.GenerateKey,
		Builtins: c.settings(), OperatorKeys: c.keys(), Now: now, NewID: newID, Log: log, Deferred: &commands.Deferred{},
	}
	if service.TestsNeedInvoke, err = testsNeedInvoke(open, events, c.TestsNeedInvoke); err != nil {
		return err
	}
	registry := metrics.New(model)
	service.Called = metrics.Calls(registry)
	counts, err := usage.Open(open, conn.NATS, c.Replicas)
	if err != nil {
		return err
	}
	probing, err := newProbing(open, c, conn.NATS, service, reader, model, registry, log)
	if err != nil {
		return err
	}
	hooks, err := openWebhooks(open, c, conn.NATS, events, secrets, upstreams, registry, log)
	if err != nil {
		return err
	}
	if err := stopCompressing(open, conn.NATS, log); err != nil {
		return err
	}
	keepCalls(open, events, c.KeepCalls, log)
	events.Require(ownStreams())
	metrics.AddLog(registry, guard, conn.NATS)
	history := audit.Log{Events: events, Builtins: c.settings()}
	live := &audit.Live{Log: history, Encode: transport.EncodeEvent, Logger: log}
	liveCalls := &audit.Live{Log: history, Calls: true, Encode: transport.EncodeCall, Logger: log}
	followers := &metrics.Followers{Events: events, Model: model, Live: live, Now: now}
	if c.has(roleAPI) {
		followers.Results = probing.results
	}
	registry.MustRegister(followers)
	api := &transport.Server{
		Commands: service, Read: reader, Cursors: cursors, Audit: history, Live: live, LiveCalls: liveCalls, Usage: counts, Keys: keys, Webhooks: hooks, Health: probing.checker.Check,
		Wait: model.Wait, WaitForProbe: model.WaitForProbe, WriteWait: c.WriteWait, Ready: readiness(ctx, events, model, head, c.ReadModelStall),
		Gate: egress.Gate, Limits: c.limits(), Hosts: c.hosts(), Version: release, Metrics: registry, NewID: newID, Now: now, Log: log,
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	consents.SetPublicURL(c.publicURL(listener.Addr()))
	for _, own := range listeners(ctx, listener, conn, c.MongoDBURI) {
		upstreams.DenyListener(own)
	}
	log.Info("egress", slog.String("policy", upstreams.Policy()))

	// Everything runs until ctx ends or one part fails.
	parts, running := errgroup.WithContext(ctx)
	handler := api.StatusHandler
	if c.has(roleAPI) {
		handler = api.Handler
	}
	streaming, endStreams := context.WithCancel(open)
	defer endStreams()
	parts.Go(func() error {
		defer stop()
		return listenAndDrain(running, listener, handler(), c.DrainDelay, endStreams, log)
	})
	parts.Go(func() error { return conn.Watch(open) })
	parts.Go(func() error { return guard.Run(open) })
	parts.Go(func() error { return service.DestroyDeferred(open) })
	parts.Go(func() error { return model.Run(open) })
	parts.Go(func() error {
		return events.Lead(open, "sweep", func(ctx context.Context) error { return sweep(ctx, service, model, log) })
	})
	if c.has(roleAPI) {
		parts.Go(func() error { return live.Run(streaming) }) // its listeners end with it, so that the drain does not wait for them
		parts.Go(func() error { return liveCalls.Run(streaming) })
		parts.Go(func() error { return probing.results.Run(open) })
	}
	if c.has(roleProjector) {
		counter := &usage.Counter{Events: events, Usage: counts, Log: log}
		parts.Go(func() error { return counter.Run(open) })
	}
	if c.has(roleProber) {
		parts.Go(func() error { return probing.scheduler.Run(open) })
		parts.Go(func() error { return probing.prober.Run(open) })
	}
	if c.has(roleWebhooks) {
		parts.Go(func() error { return hooks.Run(running) })
	}
	parts.Go(func() error {
		url := "http://" + listener.Addr().String()
		if model.Wait(running, head) != nil { // the service is stopping
			return nil
		}
		if err := events.Intact(); err != nil {
			log.Error("answering reads only", slog.String("url", url), slog.Any("err", err))
			return nil
		}
		ready(url)
		return nil
	})
	return parts.Wait()
}

// ensureOperator creates an operator key when the log has none, unless events are
// missing: the log may have lost the key.
func (f storeFlags) ensureOperator(ctx context.Context, keys *access.Keys, events *eventstore.Store, log *slog.Logger) error {
	file := slog.String("file", f.path(datafolder.OperatorKey))
	if events.Intact() != nil {
		log.WarnContext(ctx, "no operator key is created while the event log is incomplete", file)
		return nil
	}
	found, err := keys.EnsureOperator(ctx, f.path(datafolder.OperatorKey))
	switch {
	case err != nil:
		return err
	case found == access.OperatorMade:
		log.InfoContext(ctx, "created an operator key", file)
	case found == access.OperatorElsewhere:
		log.InfoContext(ctx, "this log already has an operator key, which is not in this data folder; `integrations keys create --operator` creates another", file)
	}
	return nil
}
