package main

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
	"golang.org/x/crypto/bcrypt"
)

// embedded is a NATS server of our own on a folder. It syncs before it
// acknowledges. It listens on loopback for the tools of this program only, with a
// password of its own; address and password stay when it is started again.
type embedded struct {
	dir      string
	password string
	hash     string
	port     int
	log      *slog.Logger
	running  atomic.Pointer[server.Server] // the last that was started; it takes no connections once it has ended
}

// How a server that can't write is found and started again.
const (
	lookEvery      = 100 * time.Millisecond
	believed       = 3                      // looks in a row that find the same
	firstRestart   = 250 * time.Millisecond // twice as long each time
	longestRestart = 5 * time.Second
	proven         = time.Minute // of running well, after which a failure is a first one
	roomToStart    = 4 << 20     // bytes that the disk has to take first
)

// startEmbedded starts a server on dir.
func startEmbedded(dir string, log *slog.Logger) (*embedded, error) {
	e := &embedded{dir: dir, password: rand.Text(), port: server.RANDOM_PORT, log: log}
	hash, err := bcrypt.GenerateFromPassword([]byte(e.password), bcrypt.MinCost) // the password is random, so no cost is needed
	if err != nil {
		return nil, err
	}
	e.hash = string(hash)
	if err := e.start(); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

func (e *embedded) start() error {
	srv, err := server.NewServer(&server.Options{
		ServerName: "embedded", Host: "127.0.0.1", Port: e.port, Username: embeddedUser, Password: e.hash,
		JetStream: true, StoreDir: e.dir, SyncAlways: true, MaxPayload: maxPayload, NoSigs: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		return err
	}
	e.running.Store(srv)
	srv.SetLoggerV2(natsLog{e.log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		return errors.New("not ready within 30 seconds")
	}
	if at, ok := srv.Addr().(*net.TCPAddr); ok {
		e.port = at.Port
	}
	return nil
}

// stop ends the server. Everything that was acknowledged is on disk already.
func (e *embedded) stop() {
	if srv := e.running.Load(); srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

const embeddedUser = "integrations"

// InProcessConn returns a connection to the server as it runs now, so that a
// client that connects again comes to the one that was started last.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.running.Load().InProcessConn() }

// durable is its eventstore.DurableFunc.
func (e *embedded) durable(context.Context) (bool, error) {
	return e.running.Load().JetStreamConfig().SyncAlways, nil
}

// url is where the tools find it.
func (e *embedded) url() string {
	return (&url.URL{Scheme: "nats", User: url.UserPassword(embeddedUser, e.password), Host: e.hostPort()}).String()
}

func (e *embedded) hostPort() string { return fmt.Sprintf("127.0.0.1:%d", e.port) }

// watch ends the server as soon as a write of its failed, and starts it again
// once the disk takes writes, until ctx ends. A stream whose write failed goes on
// failing, and may tell of messages that are not on disk, or miss some that are;
// a server that is away is a 503 that heals. A disk that is merely slow is let be.
func (e *embedded) watch(ctx context.Context) error {
	pause, since := firstRestart, clock()
	for seen := 0; rest(ctx, lookEvery); {
		failed := e.failed()
		if failed == nil {
			seen = 0
			continue
		}
		if seen++; seen < believed { // a stream that is just being made or deleted is not there either
			continue
		}
		seen = 0
		e.log.ErrorContext(ctx, "the log can't be written: NATS is stopped until the disk takes writes", slog.Any("err", failed))
		e.stop()
		if clock().Sub(since) > proven {
			pause = firstRestart
		}
		for rest(ctx, pause) {
			pause = min(2*pause, longestRestart)
			err := e.startAgain()
			if err == nil {
				break
			}
			e.log.WarnContext(ctx, "NATS is not started again yet; trying again", slog.Duration("pause", pause), slog.Any("err", err))
		}
		if ctx.Err() == nil {
			e.log.InfoContext(ctx, "the disk takes writes: NATS is started again")
			since = clock()
		}
	}
	return nil
}

// failed returns why the server is of no use: a stream could not be written, or
// was not recovered. A busy machine may let the server stand still for a moment, and
// whoever is asked then finds it away, so nothing but a failure of the disk or of a
// stream counts. It costs a look into a folder.
func (e *embedded) failed() error {
	if _, err := os.ReadDir(e.dir); err != nil { // else the server would look for its streams in vain, and be content
		return err
	}
	for _, found := range e.running.Load().Healthz(&server.HealthzOptions{Details: true}).Errors {
		if found.Type == server.HealthzErrorStream {
			return errors.New(found.Error)
		}
	}
	return nil
}

// startAgain starts the server when the disk takes writes.
func (e *embedded) startAgain() error {
	if err := takesWrites(e.dir); err != nil {
		return err
	}
	err := e.start()
	if err == nil {
		err = e.failed()
	}
	if err != nil {
		e.stop()
	}
	return err
}

// takesWrites proves that there is room on the disk of a folder.
func takesWrites(dir string) (err error) {
	f, err := os.Create(filepath.Join(dir, "room")) //nolint:gosec // in the operator's own data folder
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	some := make([]byte, roomToStart)
	_, _ = rand.Read(some) // no file system makes less of it
	if _, err := f.Write(some); err != nil {
		return err
	}
	return f.Sync()
}

// rest waits, and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
