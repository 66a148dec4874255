package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/approvals"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/bodies"
	"github.com/seed677028b5/integrations/callrecorder"
	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	pages "github.com/seed677028b5/integrations/console"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/internal/memlimit"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/systemd"
	"github.com/seed677028b5/integrations/persons"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/usage"
)

// maxReadWait bounds how long a read waits while the read model is being built.
const maxReadWait = time.Second

// serve runs the service until ctx ends, and calls ready once it accepts requests.
func serve(ctx context.Context, c serveCommand, log *slog.Logger, ready func(started)) (err error) {
	if err := c.checkFlags(); err != nil {
		return err
	}
	if err := c.folder().Prepare(); err != nil {
		return err
	}
	traces, log, err := openTraces(ctx, c.Roles, log)
	if err != nil {
		return err
	}
	defer traces.Close()
	now := clock
	manager := systemd.NewNotifier()
	egress := c.Egress.config(now)
	if egress.Profiles, err = c.profiles(); err != nil {
		return err
	}
	egress.Private = c.secretFiles()
	rates := newRates(c.limits(), c.RateHost)
	egress.MaxConcurrent, egress.Pace = c.MaxConcurrent, pace(rates, now)
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
		return eventstore.Open(open, conn.NATS, eventstore.Config{Replicas: c.Replicas, AllowLazySync: c.AllowLazySync, Durable: conn.Durable, Others: conn.Others, Node: nodeName()})
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
	sessions, err := access.OpenSessions(open, conn.NATS, c.Replicas, pages.ValidFor, now, log)
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
	model := &projections.Live{Events: events, Generations: generations, Mode: c.part(), Log: log, Traces: traces.Tracer()}
	defer func() { err = errors.Join(err, model.Close()) }()
	reader := projections.Reader{Store: model, Builtins: c.settings(), CaughtUp: func(ctx context.Context) error {
		if at := model.Position(); at > 0 && at >= head { // it waits for nothing, and needs no timer
			return nil
		}
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
	egress.Pins = secrets
	upstreams, err := connectors.New(egress)
	if err != nil {
		return err
	}
	defer upstreams.Close()
	consents, err := authorizations.Open(open, conn.NATS, authorizations.Config{
		Events: events, Vault: secrets, Model: model, Wait: model.Wait, Upstream: upstreams, Replicas: c.Replicas, Now: now, NewID: newID, Log: log,
	})
	if err != nil {
		return err
	}
	calls, err := approvals.Open(open, conn.NATS, approvals.Config{
		Events: events, Vault: secrets, Shown: model.WaitForApproval, Wait: c.ApprovalWait, Replicas: c.Replicas, Now: now, NewID: newID, Log: log,
	})
	if err != nil {
		return err
	}
	kept, err := bodies.Open(open, conn.NATS, secrets, c.Replicas)
	if err != nil {
		return err
	}
	recorder, err := callrecorder.Open(open, c.path(datafolder.Calls), events, log)
	if err != nil {
		log.Warn("calls are recorded before they are answered, which is slower", slog.Any("err", err))
	}
	service := newService(events, secrets, upstreams, log)
	service.Calls, service.Plain, service.Bodies, service.Approvals, service.Authorizations = recorder, &commands.PlainEndpoints{}, kept, calls, consents
	service.Builtins, service.OperatorKeys, service.Deferred = c.settings(), c.keys(), &commands.Deferred{}
	service.Traces, service.Asker = traces.Tracer(), transport.Asker(keys)
	if service.TestsNeedInvoke, err = testsNeedInvoke(open, events, c.TestsNeedInvoke); err != nil {
		return err
	}
	registry := metrics.New(release, model)
	service.Called = metrics.Calls(registry)
	events.Observe(metrics.Appends(registry))
	upstreams.ObserveTokens(metrics.Tokens(registry))
	consents.Lost = metrics.Losses(registry)
	metrics.AddUpstreams(registry, upstreams)
	metrics.AddOverload(registry, egress.Gate)
	metrics.AddTraces(registry, traces)
	counts, err := usage.Open(open, conn.NATS, c.Replicas)
	if err != nil {
		return err
	}
	probing, err := newProbing(open, c, conn.NATS, service, reader, model, registry, log)
	if err != nil {
		return err
	}
	hooks, err := openWebhooks(open, c, conn.NATS, events, secrets, consents, upstreams, registry, traces.Tracer(), log)
	if err != nil {
		return err
	}
	accesses, err := accesslog.Open(open, conn.NATS, c.Replicas, now, newID, log)
	if err != nil {
		return err
	}
	accesses.Exists = keys.HasAny
	if accesses.Persons, err = persons.New(secrets); err != nil {
		return err
	}
	proofs, err := openTrees(open, conn.NATS, events, secrets, c.Replicas)
	if err != nil {
		return err
	}
	sender, err := c.Checkpoints.sender(proofs, upstreams.Send, log)
	if err != nil {
		return err
	}
	if err := stopCompressing(open, conn.NATS, log); err != nil {
		return err
	}
	keepCalls(open, events, c.KeepCalls, log)
	events.Require(ownStreams())
	metrics.AddLog(registry, guard, conn.NATS)
	sessionKey, err := secrets.DeriveKey("sessions of persons")
	if err != nil {
		return err
	}
	tokens, issuers, err := c.OIDC.tokens(egress, service.PublicURL, sessionKey, log)
	if err != nil {
		return err
	}
	history := audit.Log{Events: events, Builtins: c.settings()}
	live := &audit.Live{Log: history, Encode: transport.EncodeEvent, Logger: log}
	liveCalls := &audit.Live{Log: history, Calls: true, Encode: transport.EncodeCall, Logger: log}
	liveProbes := &audit.Live{Log: history, Probes: true, Encode: transport.EncodeProbe, Logger: log}
	liveApprovals := &audit.Live{Log: history, Approvals: true, Encode: transport.EncodeApprovalEvent, Logger: log}
	metrics.AddListeners(registry, "events", live)
	metrics.AddListeners(registry, "calls", liveCalls)
	metrics.AddListeners(registry, "approvals", liveApprovals)
	metrics.AddListeners(registry, "probes", liveProbes)
	followers := &metrics.Followers{Events: events, Model: model, Live: live, Calls: liveCalls, Usage: counts, Trees: proofs, Now: now}
	if c.has(roleAPI) {
		followers.Results = probing.results
	}
	registry.MustRegister(followers)
	api := &transport.Server{
		Commands: service, Read: reader, Cursors: cursors, Audit: history, Live: live, LiveCalls: liveCalls, LiveApprovals: liveApprovals, LiveProbes: liveProbes, Usage: counts, Proofs: proofs, Accesses: accesses, Keys: keys, Tokens: tokens, Webhooks: hooks, Health: probing.checker.Check,
		Wait: model.Wait, WaitForProbe: model.WaitForProbe, WaitForApproval: model.WaitForApproval, WriteWait: c.WriteWait, Ready: readiness(ctx, events, model, head, c.ReadModelStall),
		Gate: egress.Gate, Limits: c.limits(), Rates: rates, Hosts: c.hosts(), Proxies: c.Front.proxies(), Version: release, Metrics: registry, Traces: traces.Tracer(), NewID: newID, Now: now, Log: log,
	}
	listener, err := c.Front.listen(ctx, c.Listen, registry, log)
	if err != nil {
		return err
	}
	debug, err := openDebug(ctx, c.Front.DebugListen, log)
	if err != nil {
		return err
	}
	consents.SetPublicURL(c.publicURL(listener.Addr()))
	consents.SetReturnOrigins(c.ReturnOrigins)
	if tokens != nil && service.PublicURL() == "" {
		log.Warn("MCP clients can't find where to sign in, since the URL of this service is not known: set --public-url")
	}
	for _, own := range listeners(ctx, listener, conn, slices.Concat(mongoHostPorts(c.MongoDBURI), collectorHostPort(traces), c.kmsHostPort())) {
		upstreams.DenyListener(own)
		if issuers != nil {
			issuers.DenyListener(own)
		}
	}
	log.Info("egress", slog.String("policy", upstreams.Policy()))

	// Everything runs until ctx ends or one part fails.
	parts, running := errgroup.WithContext(ctx)
	handler, front, err := c.handler(api, secrets, sessions, c.publicURL(listener.Addr()), log)
	if err != nil {
		return err
	}
	streaming, endStreams := context.WithCancel(open)
	defer endStreams()
	parts.Go(func() error {
		defer stop()
		return listenAndDrain(running, listener, handler, c.DrainDelay, endStreams, log)
	})
	if debug != nil {
		parts.Go(func() error { return debug.serve(running) })
	}
	parts.Go(func() error { report(running, manager, registry, log); return nil })
	parts.Go(func() error { memlimit.Release(running); return nil })
	parts.Go(func() error { return conn.Watch(open) })
	if c.NATSURL != "" { // others may be there
		parts.Go(func() error { return rates.Share(open, conn.NATS, newID(), now, log) })
	}
	parts.Go(func() error { return guard.Run(open) })
	parts.Go(func() error { return service.DestroyDeferred(open) })
	parts.Go(func() error { return accesses.Run(open) })
	parts.Go(func() error { return model.Run(open) })
	if recorder != nil {
		parts.Go(func() error { return recorder.Run(open) })
	}
	parts.Go(func() error {
		return events.Lead(open, "sweep", func(ctx context.Context) error { return sweep(ctx, service, model, log) })
	})
	parts.Go(func() error { return lead(open, events, "authorizations", service.MaintainAuthorizations, log) })
	parts.Go(func() error { return lead(open, events, "deleted-authorizations", service.ForgetDeleted, log) })
	if c.has(roleAPI) {
		parts.Go(func() error { return live.Run(streaming) }) // its listeners end with it, so that the drain does not wait for them
		parts.Go(func() error { return liveCalls.Run(streaming) })
		parts.Go(func() error { return liveApprovals.Run(streaming) })
		parts.Go(func() error { return liveProbes.Run(streaming) })
		parts.Go(func() error { return calls.Run(open, service) })
		parts.Go(func() error { return probing.results.Run(open) })
		if tokens != nil {
			parts.Go(func() error { return runTokens(open, tokens, conn.NATS) })
		}
	}
	if c.has(roleProjector) {
		counter := &usage.Counter{Events: events, Usage: counts, Log: log}
		parts.Go(func() error { return counter.Run(open) })
		parts.Go(func() error { return followTrees(proofs, log).Run(open) })
		parts.Go(func() error { return sender.Run(open) })
	}
	if c.has(roleProber) {
		parts.Go(func() error { return probing.scheduler.Run(open) })
		parts.Go(func() error { return probing.prober.Run(open) })
	}
	if c.has(roleWebhooks) {
		parts.Go(func() error { return hooks.Run(running) })
	}
	parts.Go(func() error {
		url := c.Front.url(listener.Addr())
		if model.Wait(running, head) != nil { // the service is stopping
			return nil
		}
		notify(running, manager, systemd.Ready, log)
		if err := events.Intact(); err != nil {
			log.Error("answering reads only", slog.String("url", url), slog.Any("err", err))
			return nil
		}
		ready(started{url, front})
		return nil
	})
	return parts.Wait()
}
