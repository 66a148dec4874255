// Package embeddednats runs a NATS server with JetStream in this process.
//
// Its one promise: what the server acknowledges is on disk. When a write fails, the
// server stops until the disk accepts writes again, because a stream whose write
// failed keeps failing and may serve messages that are not on disk.
package embeddednats

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/streams"
)

const (
	user         = "integrations"
	maxPayload   = 8 << 20 // bytes of a message: a configuration of 1 MiB and what JSON adds to it
	startTimeout = 30 * time.Second
	minFree      = 4 << 20 // bytes that the disk must accept before the server starts again
)

// How Watch finds a server that can't write and starts it again.
const (
	checkEvery  = 100 * time.Millisecond
	minFailures = 3                      // in a row, before the server stops
	minBackoff  = 250 * time.Millisecond // doubled after each attempt
	maxBackoff  = 5 * time.Second
	healthyFor  = time.Minute // after which the backoff starts from its minimum
)

// Server is a NATS server on a folder. It listens on loopback only, with a password
// of its own. Its address and its password stay the same when it restarts.
type Server struct {
	dir      string
	password password
	others   others
	port     int
	log      *slog.Logger
	current  atomic.Pointer[server.Server] // the one started last; a stopped one accepts no connections
}

// Start starts a server that stores its streams in dir.
func Start(dir string, log *slog.Logger) (*Server, error) {
	s := &Server{dir: dir, password: password(rand.Text()), port: server.RANDOM_PORT, log: log}
	if err := s.start(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	if err := completeConfigurations(s.dir, s.log); err != nil {
		return err
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "embedded", Host: "127.0.0.1", Port: s.port, CustomClientAuthentication: authentication{s.password, &s.others},
		JetStream: true, StoreDir: s.dir, SyncAlways: true, MaxPayload: maxPayload, NoSigs: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		return err
	}
	s.current.Store(srv)
	srv.SetLoggerV2(logger{s.log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(startTimeout) {
		return fmt.Errorf("not ready within %s", startTimeout)
	}
	if at, ok := srv.Addr().(*net.TCPAddr); ok && s.port == server.RANDOM_PORT { // it stays the same
		s.port = at.Port
	}
	return nil
}

// Stop stops the server. Everything that it acknowledged is on disk.
func (s *Server) Stop() {
	if srv := s.current.Load(); srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

// Connect returns a connection inside the process. It reconnects after a restart.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append(options, nats.InProcessServer(s), nats.UserInfo(user, string(s.password)))...)
}

// InProcessConn implements nats.InProcessConnProvider for the server started last.
func (s *Server) InProcessConn() (net.Conn, error) { return s.current.Load().InProcessConn() }

// Durable reports whether the server syncs to disk before it acknowledges. It is an
// eventstore.DurableFunc.
func (s *Server) Durable(context.Context) (bool, error) {
	return s.current.Load().JetStreamConfig().SyncAlways, nil
}

// URL returns the URL of the server, with its password.
func (s *Server) URL() string {
	return (&url.URL{Scheme: "nats", User: url.UserPassword(user, string(s.password)), Host: s.HostPort()}).String()
}

// HostPort returns the address that the server listens on.
func (s *Server) HostPort() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Watch stops the server as soon as a write fails, and starts it again once the disk
// accepts writes, until ctx ends. A slow disk is no failure. It returns nil.
func (s *Server) Watch(ctx context.Context) error {
	backoff, started := minBackoff, time.Now()
	for failures := 0; streams.Wait(ctx, checkEvery); {
		failed := s.Failed()
		if failed == nil {
			failures = 0
			continue
		}
		if failures++; failures < minFailures { // a stream that is being created or deleted is not healthy either
			continue
		}
		failures = 0
		s.log.ErrorContext(ctx, "the log can't be written: NATS is stopped until the disk takes writes", slog.Any("err", failed))
		s.Stop()
		if time.Since(started) > healthyFor {
			backoff = minBackoff
		}
		for streams.Wait(ctx, backoff) {
			backoff = min(2*backoff, maxBackoff)
			err := s.restart()
			if err == nil {
				break
			}
			s.log.WarnContext(ctx, "NATS is not started again yet; trying again", slog.Duration("pause", backoff), slog.Any("err", err))
		}
		if ctx.Err() == nil {
			s.log.InfoContext(ctx, "the disk takes writes: NATS is started again")
			started = time.Now()
		}
	}
	return nil
}

// Failed returns why the server can't be used: a stream could not be written or
// recovered. Only failures of the disk or of a stream count, because a busy machine
// may stall a healthy server for a moment.
func (s *Server) Failed() error {
	if _, err := os.ReadDir(s.dir); err != nil { // a server without its folder finds no streams, and reports that it is healthy
		return err
	}
	for _, found := range s.current.Load().Healthz(&server.HealthzOptions{Details: true}).Errors {
		if found.Type == server.HealthzErrorStream {
			return errors.New(found.Error)
		}
	}
	return nil
}

// restart starts the server when the disk accepts writes.
func (s *Server) restart() error {
	if err := checkDisk(s.dir); err != nil {
		return err
	}
	err := s.start()
	if err == nil {
		err = s.Failed()
	}
	if err != nil {
		s.Stop()
	}
	return err
}

// checkDisk returns an error unless the disk of a folder accepts a write.
func checkDisk(dir string) (err error) {
	f, err := os.Create(filepath.Join(dir, "room")) //nolint:gosec // in the operator's data folder
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	data := make([]byte, minFree)
	_, _ = rand.Read(data) // which no file system compresses
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// logger writes the log of the server to log.
type logger struct{ log *slog.Logger }

func (l logger) at(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats", slog.String("message", fmt.Sprintf(format, v...)))
}

func (l logger) Noticef(format string, v ...any) { l.at(slog.LevelDebug, format, v) }
func (l logger) Warnf(format string, v ...any)   { l.at(slog.LevelWarn, format, v) }
func (l logger) Errorf(format string, v ...any)  { l.at(slog.LevelError, format, v) }
func (l logger) Fatalf(format string, v ...any)  { l.at(slog.LevelError, format, v) }
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
