package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/vault"
)

// readWithin bounds how long a read waits while the read model is being built.
const readWithin = time.Second

// serve runs the service until ctx ends, and calls ready with its URL once it
// takes requests.
func serve(ctx context.Context, c serveCommand, log *slog.Logger, ready func(url string)) (err error) {
	if err := c.checkRoles(); err != nil {
		return err
	}
	if err := makePrivate(c.Data); err != nil {
		return err
	}
	now := clock
	egress, err := c.Egress.config(now)
	if err != nil {
		return err
	}
	if egress.Profiles, err = c.profiles(); err != nil {
		return err
	}
	egress.Private = c.private()
	egress.Gate = admission.New(limitMemory(log))

	// The log, the vault beside it, and who may use them. They outlive ctx, so
	// that requests under way can end well.
	open, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	b, err := whenThere(ctx, c, log, "NATS", func() (*bus, error) { return connect(c.storeFlags, log) })
	if err != nil {
		return err
	}
	defer b.close()
	events, err := whenThere(ctx, c, log, "JetStream", func() (*eventstore.Store, error) {
		return eventstore.Open(open, b.nc, eventstore.Config{Replicas: c.Replicas, AllowLazySync: c.AllowLazySync, Durable: b.durable, Node: nodeName()})
	})
	if err != nil {
		return err
	}
	secrets, err := c.openVault(open, b, events)
	if err != nil {
		return err
	}
	keys, err := access.Open(open, b.nc, c.Replicas, now, log)
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

	// The read model, and what keeps it current.
	generations, err := whenThere(ctx, c, log, "the read store", func() (projections.Generations, error) { return openGenerations(open, c.storeFlags, log) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, generations.Close()) }()
	head, err := events.Head(open)
	if err != nil {
		return err
	}
	model := &projections.Live{Events: events, Generations: generations, Part: c.part(), Log: log}
	defer func() { err = errors.Join(err, model.Close()) }()
	reader := projections.Reader{Store: model, Builtins: c.settings(), CaughtUp: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
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

	// What goes out, what is asked, and what is answered.
	outside, err := connectors.New(egress)
	if err != nil {
		return err
	}
	service := &commands.Service{
		Events: events, Vault: secrets, Connectors: outside, Rules: outside.Rules(), JWKS: connectors.PublicKeys,
		Builtins: c.settings(), OperatorKeys: c.keys(), Now: now, NewID: newID, Log: log, Deferred: &commands.Deferred{},
	}
	metrics := newRegistry(model)
	probing, err := newProbing(open, c, b.nc, service, reader, model, metrics, log)
	if err != nil {
		return err
	}
	hooks, err := openWebhooks(open, c, b.nc, events, secrets, outside, metrics, log)
	if err != nil {
		return err
	}
	if err := stopCompressing(open, b.nc, log); err != nil {
		return err
	}
	events.Require(ownStreams())
	measureLog(metrics, guard, b.nc)
	past := audit.Log{Events: events, Builtins: c.settings()}
	live := &audit.Live{Log: past, Encode: transport.EncodeEvent, Logger: log}
	seen := &followers{events: events, model: model, live: live}
	if c.has(roleAPI) {
		seen.results = probing.results
	}
	metrics.MustRegister(seen)
	api := &transport.Server{
		Commands: service, Read: reader, Cursors: cursors, Audit: past, Live: live, Keys: keys, Webhooks: hooks, Health: probing.checker.Check,
		Wait: model.Wait, WaitForProbe: model.WaitForProbe, WriteWait: c.WriteWait, Ready: readiness(ctx, events, model, head, c.ReadModelStall),
		Gate: egress.Gate, Limits: c.limits(), Hosts: c.hosts(), Metrics: metrics, NewID: newID, Now: now, Log: log,
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	for _, own := range ownListeners(ctx, listener, b, c.storeFlags) {
		outside.DenyListener(own)
	}
	log.Info("egress", slog.String("policy", outside.Policy()))

	// All of it, until ctx ends or one part fails.
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
	parts.Go(func() error { return b.watch(open) })
	parts.Go(func() error { return guard.Run(open) })
	parts.Go(func() error { return service.DestroyDeferred(open) })
	parts.Go(func() error { return model.Run(open) })
	parts.Go(func() error {
		return events.Lead(open, "sweep", func(ctx context.Context) error { return sweep(ctx, service, model, log) })
	})
	if c.has(roleAPI) {
		parts.Go(func() error { return live.Run(streaming) }) // its listeners end with it, so that nothing waits for them
		parts.Go(func() error { return probing.results.Run(open) })
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
		if model.Wait(running, head) != nil { // the service ended before
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

// clock is the time in UTC, in the microseconds that every store can keep.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// newID returns a unique id that sorts by time (UUID version 7).
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (f storeFlags) rootKeys() vault.RootKeys {
	return vault.RootKeys{File: f.path("root.keyset"), Keyset: f.RootKeyset}
}

// nodeName names this machine on the canary subject, where a dot or a space
// would mean something.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '*' || r == '>' || r <= ' ' {
			return '-'
		}
		return r
	}, name)
}

// ownListeners returns the addresses of this process and of the stores behind
// it, which no integration may call. The service has connected to the stores
// already, so their names resolve; those behind mongodb+srv are not known here.
func ownListeners(ctx context.Context, l net.Listener, b *bus, f storeFlags) []netip.AddrPort {
	var own []netip.AddrPort
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		own = append(own, tcp.AddrPort())
	}
	for _, hostPort := range append(b.hostPorts(), mongoHostPorts(f.MongoDBURI)...) {
		host, port, err := net.SplitHostPort(hostPort)
		if err != nil {
			continue
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			continue
		}
		addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		for _, addr := range addrs {
			own = append(own, netip.AddrPortFrom(addr.Unmap(), uint16(number)))
		}
	}
	return own
}

// mongoHostPorts returns the servers that a MongoDB URI names.
func mongoHostPorts(uri string) []string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	var all []string
	for server := range strings.SplitSeq(rest, ",") {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "27017")
		}
		all = append(all, server)
	}
	return all
}

func monitorClient() *http.Client { return &http.Client{Timeout: 5 * time.Second} }
