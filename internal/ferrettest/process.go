package ferrettest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/internal/peers"
)

// Process is FerretDB in a process of its own, which can be killed, and whose
// folder can be copied, emptied and put back while it is down.
type Process struct {
	URI    string
	Folder string

	t       testing.TB
	address string
	cmd     *exec.Cmd
}

// Spawn starts a server on loopback, on a folder of its own. It goes away with the
// test.
func Spawn(t testing.TB) *Process {
	t.Helper()
	p := &Process{t: t, Folder: filepath.Join(t.TempDir(), "db")}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p.URI = "mongodb://" + p.address + "/"
	p.Empty()
	t.Cleanup(p.Kill)
	p.Start()
	return p
}

// Start starts the server where it was before, and waits until it listens.
func (p *Process) Start() {
	p.t.Helper()
	_, p.cmd = peers.StartProgram(p.t, "ferretd", "-listen", p.address, "-folder", p.Folder)
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.address)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(until) {
			p.t.Fatal("ferretd did not listen within 30 s")
		}
	}
}

// Kill ends the server at once (SIGKILL), and returns when it is gone.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// Empty takes away all databases. The server has to be down.
func (p *Process) Empty() {
	p.t.Helper()
	if err := os.RemoveAll(p.Folder); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Mkdir(p.Folder, 0o700); err != nil {
		p.t.Fatal(err)
	}
}

// Save copies all databases, and returns what puts the copy back in their place.
// The server has to be down for both.
func (p *Process) Save() (restore func()) {
	p.t.Helper()
	copied := filepath.Join(p.t.TempDir(), "saved")
	if err := os.CopyFS(copied, os.DirFS(p.Folder)); err != nil {
		p.t.Fatal(fmt.Errorf("save the databases: %w", err))
	}
	return func() {
		p.t.Helper()
		if err := os.RemoveAll(p.Folder); err != nil {
			p.t.Fatal(err)
		}
		if err := os.CopyFS(p.Folder, os.DirFS(copied)); err != nil {
			p.t.Fatal(fmt.Errorf("put the databases back: %w", err))
		}
	}
}
