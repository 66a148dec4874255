package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/eventstore"
)

// bus is a connection to NATS, and the server behind it when that is ours.
type bus struct {
	nc      *nats.Conn
	durable eventstore.DurableFunc
	server  *embedded // nil: somebody else's
	lock    *os.File
	urlFile string

	monitors []string // monitoring URLs of servers that are not ours
}

// maxPayload bounds a message: a configuration of 1 MiB and what JSON adds to it.
const maxPayload = 8 << 20

// connect returns the NATS server of the flags, or one of our own on the data
// folder. When another process has that folder, it returns errDataInUse.
func connect(f storeFlags, log *slog.Logger) (*bus, error) {
	if f.NATSURL != "" {
		return connectTo(f, log)
	}
	lock, err := lockData(f.path("lock"))
	if err != nil {
		return nil, err
	}
	b := &bus{lock: lock, urlFile: f.path("nats.url")}
	if err := b.start(f.path("nats"), log); err != nil {
		b.close()
		return nil, fmt.Errorf("start embedded NATS: %w", err)
	}
	return b, nil
}

// connectionOptions keep trying for ever: NATS that is away is a 503 that heals.
func connectionOptions(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("integrations"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() {
				log.Warn("the connection to NATS is lost; connecting again", slog.Any("err", err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to NATS again", slog.String("server", nc.ConnectedServerName()))
		}),
	}
}

func connectTo(f storeFlags, log *slog.Logger, more ...nats.Option) (*bus, error) {
	options := append(connectionOptions(log), more...)
	if f.NATSCreds != "" {
		options = append(options, nats.UserCredentials(f.NATSCreds))
	}
	nc, err := nats.Connect(f.NATSURL, options...)
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) {
		err = fmt.Errorf("%w (%w)", errAway, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", withoutPasswords(f.NATSURL), err)
	}
	b := &bus{nc: nc, monitors: f.NATSMonitorURL}
	if len(f.NATSMonitorURL) > 0 {
		b.durable = eventstore.Monitored(monitorClient(), f.NATSMonitorURL...)
	}
	return b, nil
}

// withoutPasswords is a list of URLs as it may be shown.
func withoutPasswords(urls string) string {
	all := strings.Split(urls, ",")
	for n, text := range all {
		if u, err := url.Parse(strings.TrimSpace(text)); err == nil {
			all[n] = u.Redacted()
		}
	}
	return strings.Join(all, ",")
}

// serviceURL is the file in which a service says where its embedded server listens. It
// is read at each connection: after a restart the address and the password are others.
type serviceURL string

func (file serviceURL) read() (*url.URL, error) {
	text, err := os.ReadFile(string(file))
	if err != nil {
		return nil, fmt.Errorf("the running service is not ready: %w", err)
	}
	return url.Parse(strings.TrimSpace(string(text)))
}

// Dial implements nats.CustomDialer.
func (file serviceURL) Dial(network, _ string) (net.Conn, error) {
	at, err := file.read()
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), network, at.Host)
}

func (file serviceURL) user() (name, password string) {
	at, err := file.read()
	if err != nil {
		return "", ""
	}
	password, _ = at.User.Password()
	return at.User.Username(), password
}

// start starts a server of our own, and tells the tools where it is.
func (b *bus) start(dir string, log *slog.Logger) (err error) {
	if b.server, err = startEmbedded(dir, log); err != nil {
		return err
	}
	b.nc, err = nats.Connect("", append(connectionOptions(log), nats.InProcessServer(b.server), nats.UserInfo(embeddedUser, b.server.password))...)
	if err != nil {
		return err
	}
	b.durable = b.server.durable
	return os.WriteFile(b.urlFile, []byte(b.server.url()+"\n"), 0o600)
}

// watch keeps a server of our own going until ctx ends. Somebody else's is
// theirs to restart.
func (b *bus) watch(ctx context.Context) error {
	if b.server == nil {
		return nil
	}
	return b.server.watch(ctx)
}

// hostPorts returns where NATS listens: the embedded server, or those that are
// known of a cluster, and their monitoring ports.
func (b *bus) hostPorts() []string {
	if b.server != nil {
		return []string{b.server.hostPort()}
	}
	var all []string
	for _, text := range append(b.nc.Servers(), b.monitors...) {
		if u, err := url.Parse(text); err == nil {
			all = append(all, u.Host)
		}
	}
	return all
}

// close ends the connection, and the server when it is ours. Everything that
// was acknowledged is on disk already.
func (b *bus) close() {
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		b.server.stop()
		_ = os.Remove(b.urlFile)
	}
	if b.lock != nil {
		_ = b.lock.Close()
	}
}

// errDataInUse says that another process runs on the data folder.
var errDataInUse = errors.New("another integrations process uses this data folder")

// lockData takes the folder of the lock file for this process, until the file
// is closed or the process ends.
func lockData(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own data folder
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errDataInUse
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return f, nil
}

// attach is connect for a tool: when a service runs on the data folder, it
// connects to that one's server. It reports whether it did.
func attach(f storeFlags, log *slog.Logger) (b *bus, running bool, err error) {
	if f.NATSURL == "" {
		if _, err := os.Stat(f.path("nats")); err != nil {
			return nil, false, fmt.Errorf("there is no log in %s: %w", f.Data, err)
		}
	}
	b, err = connect(f, log)
	if !errors.Is(err, errDataInUse) {
		return b, f.NATSURL != "", err
	}
	file := serviceURL(f.path("nats.url"))
	at, err := file.read()
	if err != nil {
		return nil, false, err
	}
	f.NATSURL = "nats://" + at.Host
	b, err = connectTo(f, log, nats.SetCustomDialer(file), nats.UserInfoHandler(file.user))
	if err == nil {
		b.durable = func(context.Context) (bool, error) { return true, nil } // it would not have started otherwise
	}
	return b, true, err
}

// attachLog is attach for a tool that reads the log. It writes nothing, so it
// doesn't ask whether the server syncs.
func attachLog(s streams, f storeFlags) (b *bus, events *eventstore.Store, running bool, err error) {
	if b, running, err = attach(f, s.log); err != nil {
		return nil, nil, false, err
	}
	if events, err = eventstore.Open(s.ctx, b.nc, eventstore.Config{Replicas: f.Replicas, AllowLazySync: true}); err != nil {
		b.close()
		return nil, nil, false, err
	}
	return b, events, running, nil
}

// natsLog tells what the embedded server has to say of importance.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) {
	l.log.Debug("nats", slog.String("says", fmt.Sprintf(format, v...)))
}

func (l natsLog) Warnf(format string, v ...any) {
	l.log.Warn("nats", slog.String("says", fmt.Sprintf(format, v...)))
}

func (l natsLog) Errorf(format string, v ...any) {
	l.log.Error("nats", slog.String("says", fmt.Sprintf(format, v...)))
}

func (l natsLog) Fatalf(format string, v ...any) {
	l.log.Error("nats", slog.String("says", fmt.Sprintf(format, v...)))
}
func (l natsLog) Debugf(string, ...any) {}
func (l natsLog) Tracef(string, ...any) {}
