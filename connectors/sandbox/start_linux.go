package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// endsWithin is how long a keeper may take to end its program when it is asked.
const endsWithin = 5 * time.Second

// plan is the input of the keeper of a program.
type plan struct {
	Command
	Kind  kind
	Bwrap string
	Dir   string // the program's own folder, gone with it
}

// Process is a program under way.
type Process struct {
	In  io.WriteCloser // its stdin
	Out io.ReadCloser  // its stdout

	control *os.File // the keeper ends the program when this is closed
	keeper  *exec.Cmd
	stderr  tail
	end     sync.Once
	done    chan struct{}
	why     string
}

// Start starts a program. The one who starts it must End it.
func (s Sandbox) Start(c Command) (_ *Process, err error) {
	dir, err := os.MkdirTemp("", "integrations-program-")
	if err != nil {
		return nil, fmt.Errorf("start a program: %w", err)
	}
	var ours, theirs []*os.File
	defer func() {
		closeAll(theirs)
		if err != nil {
			closeAll(ours)
			_ = os.RemoveAll(dir)
			err = fmt.Errorf("start a program: %w", err)
		}
	}()
	for n := range 5 { // stdin, stdout, stderr, control, report
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if n == 0 || n == 3 {
			r, w = w, r
		}
		ours, theirs = append(ours, r), append(theirs, w)
	}
	encoded, err := json.Marshal(plan{Command: c, Kind: s.kind, Bwrap: s.bwrap, Dir: dir})
	if err != nil {
		return nil, err
	}
	p := &Process{In: ours[0], Out: ours[1], control: ours[3], done: make(chan struct{})}
	p.keeper = again(keeperName, theirs)
	p.keeper.Dir = dir
	if s.kind == namespaced {
		inNamespaces(p.keeper.SysProcAttr, c.Network)
	}
	if err = p.keeper.Start(); err != nil {
		return nil, err
	}
	go func() { _, _ = p.control.Write(append(encoded, '\n')) }() // it is longer than a pipe holds, perhaps
	go p.follow(ours[2], ours[4], dir)
	return p, nil
}

// again is this program as another process, with files as its first ones and no
// environment.
func again(name string, files []*os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{name}, Env: []string{}, Stdin: files[0], Stdout: files[1], Stderr: files[2], ExtraFiles: files[3:],
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// inNamespaces gives a process users, processes and, unless it may reach the
// network, a network of its own. Its user stays the same one.
func inNamespaces(a *syscall.SysProcAttr, network bool) {
	a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC
	if !network {
		a.Cloneflags |= syscall.CLONE_NEWNET
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
}

// follow keeps what the program writes to stderr, until all of it has ended.
func (p *Process) follow(stderr, report *os.File, dir string) {
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		_, _ = io.Copy(&p.stderr, stderr)
	}()
	cause, _ := io.ReadAll(io.LimitReader(report, MaxStderr))
	_ = p.keeper.Wait() // what it came to is in the report
	select {
	case <-listened:
	case <-time.After(time.Second): // what was left behind by a keeper that was killed has it open
	}
	closeAll([]*os.File{stderr, report})
	if p.why = string(cause); p.why == "" {
		p.why = "It was ended from outside."
	}
	_ = os.RemoveAll(dir) // which the keeper has done, unless it was killed
	close(p.done)
}

// End ends the program and everything it started, and returns at once. It may
// be called more than once.
func (p *Process) End() {
	p.end.Do(func() {
		_ = p.In.Close()
		_ = p.control.Close()
		_ = p.Out.Close()
		late := time.AfterFunc(endsWithin, func() { _ = p.keeper.Process.Kill() })
		go func() {
			<-p.done
			late.Stop()
		}()
	})
}

// Done is closed once nothing of the program is left.
func (p *Process) Done() <-chan struct{} { return p.done }

// Why returns a sentence on why the program ended, once Done is closed.
func (p *Process) Why() string { return p.why }

// Stderr returns the end of what the program has written to stderr so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	if over := len(t.text) - MaxStderr; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(text), nil
}

// String returns it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			continue // a pipe that was closed with an error is closed
		}
	}
}
