// Package natsconn connects to NATS: to servers of the operator, to an embedded
// server on the data folder, or to the embedded server of a service that runs there.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/embeddednats"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
)

// ErrAway reports that no NATS server answers at the configured address.
var ErrAway = errors.New("no server answers")

// Config locates NATS.
type Config struct {
	Data        datafolder.Folder // of the embedded server
	URL         string            // of servers of the operator, separated by commas; empty: the embedded server
	Creds       string            // credentials file for URL; empty: none
	MonitorURLs []string          // monitoring URLs of the servers at URL
}

// Conn is a connection to NATS, and the embedded server where there is one.
type Conn struct {
	NATS    *nats.Conn
	Durable eventstore.DurableFunc // nil: not known
	Others  eventstore.OthersFunc  // nil: other programs may use the servers at any time

	server   *embeddednats.Server // nil: servers of the operator
	lock     *os.File
	urlFile  string
	monitors []string
}

// Connect connects to the servers at c.URL, or starts the embedded server. It returns
// datafolder.ErrInUse when another process uses the data folder, and ErrAway when no
// server answers.
func Connect(c Config, log *slog.Logger) (*Conn, error) {
	if c.URL != "" {
		return dial(c, log)
	}
	lock, err := c.Data.Lock()
	if err != nil {
		return nil, err
	}
	conn := &Conn{lock: lock, urlFile: c.Data.Path(datafolder.NATSURL)}
	if err := conn.start(c.Data.Path(datafolder.NATS), log); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start embedded NATS: %w", err)
	}
	return conn, nil
}

// Attach is Connect for a tool. When a service runs on the data folder, it connects to
// the embedded server of that service, and reports running. It creates no log.
func Attach(c Config, log *slog.Logger) (conn *Conn, running bool, err error) {
	if c.URL == "" {
		if _, err := os.Stat(c.Data.Path(datafolder.NATS)); err != nil {
			return nil, false, fmt.Errorf("there is no log in %s: %w", c.Data, err)
		}
	}
	conn, err = Connect(c, log)
	if !errors.Is(err, datafolder.ErrInUse) {
		return conn, c.URL != "", err
	}
	file := urlFile(c.Data.Path(datafolder.NATSURL))
	at, err := file.read()
	if err != nil {
		return nil, false, err
	}
	c.URL = "nats://" + at.Host
	conn, err = dial(c, log, nats.SetCustomDialer(file), nats.UserInfoHandler(file.user))
	if err == nil {
		conn.Durable = func(context.Context) (bool, error) { return true, nil } // or the service would not have started
	}
	return conn, true, err
}

// reconnect returns options that reconnect without a limit of attempts: while NATS
// is away the service answers 503, and recovers by itself.
func reconnect(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("integrations"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() {
				log.Warn("the connection to NATS is lost; connecting again", slog.Any("err", err))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			level := slog.LevelWarn
			if errors.Is(err, nats.ErrPermissionViolation) { // who wanted to do it reports that
				level = slog.LevelDebug
			}
			log.Log(context.Background(), level, "NATS has reported an error", slog.Any("err", err))
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to NATS again", slog.String("server", nc.ConnectedServerName()))
		}),
	}
}

func dial(c Config, log *slog.Logger, more ...nats.Option) (*Conn, error) {
	options := append(reconnect(log), more...)
	if c.Creds != "" {
		options = append(options, nats.UserCredentials(c.Creds))
	}
	nc, err := nats.Connect(c.URL, options...)
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) {
		err = fmt.Errorf("%w (%w)", ErrAway, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redacted(c.URL), err)
	}
	conn := &Conn{NATS: nc, monitors: c.MonitorURLs}
	if len(c.MonitorURLs) > 0 {
		conn.Durable = eventstore.Monitored(&http.Client{Timeout: 5 * time.Second}, c.MonitorURLs...)
	}
	return conn, nil
}

// redacted returns a list of URLs without their passwords.
func redacted(urls string) string {
	all := strings.Split(urls, ",")
	for n, text := range all {
		if u, err := url.Parse(strings.TrimSpace(text)); err == nil {
			all[n] = u.Redacted()
		}
	}
	return strings.Join(all, ",")
}

// start starts the embedded server, and writes its URL where tools find it.
func (c *Conn) start(dir string, log *slog.Logger) (err error) {
	if c.server, err = embeddednats.Start(dir, log); err != nil {
		return err
	}
	if c.NATS, err = c.server.Connect(reconnect(log)...); err != nil {
		return err
	}
	c.Durable, c.Others = c.server.Durable, c.server.Others
	return os.WriteFile(c.urlFile, []byte(c.server.URL()+"\n"), 0o600)
}

// Watch restarts the embedded server when a write fails, until ctx ends. It returns
// nil at once when the servers are the operator's.
func (c *Conn) Watch(ctx context.Context) error {
	if c.server == nil {
		return nil
	}
	return c.server.Watch(ctx)
}

// HostPorts returns the addresses of the embedded server, or those that are known of
// the operator's servers and of their monitoring ports.
func (c *Conn) HostPorts() []string {
	if c.server != nil {
		return []string{c.server.HostPort()}
	}
	var all []string
	for _, text := range append(c.NATS.Servers(), c.monitors...) {
		if u, err := url.Parse(text); err == nil {
			all = append(all, u.Host)
		}
	}
	return all
}

// Close closes the connection, stops the embedded server and unlocks the data folder.
func (c *Conn) Close() {
	if c.NATS != nil {
		c.NATS.Close()
	}
	if c.server != nil {
		c.server.Stop()
		_ = os.Remove(c.urlFile)
	}
	if c.lock != nil {
		_ = c.lock.Close()
	}
}
