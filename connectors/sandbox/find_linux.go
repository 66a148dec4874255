package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Find returns the best sandbox that works on this machine, as a trial shows.
func Find() (Sandbox, error) {
	var why []error
	for _, s := range candidates() {
		err := s.holds()
		if err == nil {
			return s, nil
		}
		why = append(why, fmt.Errorf("%s: %w", s, err))
	}
	return Sandbox{}, fmt.Errorf("no sandbox works here; it takes bubblewrap, or Linux 6.12 with Landlock: %w", errors.Join(why...))
}

// Working returns all sandboxes that work on this machine.
func Working() []Sandbox {
	var all []Sandbox
	for _, s := range candidates() {
		if s.holds() == nil {
			all = append(all, s)
		}
	}
	return all
}

func candidates() []Sandbox {
	all := []Sandbox{{kind: namespaced}, {kind: landlocked}}
	if bwrap, err := exec.LookPath("bwrap"); err == nil && filepath.IsAbs(bwrap) {
		all = append([]Sandbox{{kind: bubblewrap, bwrap: bwrap}}, all...)
	}
	return all
}

const held = "held"

// holds tries whether a program runs in s, and whether it is kept from a file
// and from a port that it may not reach.
func (s Sandbox) holds() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	secret, err := os.CreateTemp("", "integrations-trial-")
	if err != nil {
		return err
	}
	defer func() { _, _ = secret.Close(), os.Remove(secret.Name()) }()
	port, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = port.Close() }()
	p, err := s.Start(Command{Executable: self, Args: []string{trialName, secret.Name(), port.Addr().String()}, Limits: Limits{
		Memory: 1 << 42, FileSize: 1 << 20, CPU: 10 * time.Second, Wall: 10 * time.Second, OpenFiles: 64, Processes: 4,
	}})
	if err != nil {
		return err
	}
	output, err := io.ReadAll(io.LimitReader(p.Out, MaxStderr))
	p.End()
	<-p.Done()
	if err == nil && string(output) != held {
		err = errors.New(strings.TrimSpace(string(output) + " " + p.Why() + " " + p.Stderr()))
	}
	return err
}

var errDone = errors.New("it was done")

// unlessNil inverts an error: an operation in the trial must fail.
func unlessNil(err error) error {
	if err == nil {
		return errDone
	}
	return nil
}

// changesMode reports whether a file that is open takes another mode, whatever the
// system call answers.
func changesMode(file string) error {
	f, err := os.Open(file) //nolint:gosec // the trial's own
	if err != nil {
		return nil //nolint:nilerr // another check reports it
	}
	defer func() { _ = f.Close() }()
	_ = f.Chmod(0o644)
	if info, err := f.Stat(); err == nil && info.Mode().Perm() != 0o600 {
		return errDone
	}
	return nil
}

func memfd() error {
	_, err := unix.MemfdCreate("trial", 0)
	return err
}

func keyring() error {
	_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
	return err
}

// try is the program of a trial. It prints whether the sandbox holds.
func try(secret, port string) {
	result := held
	if _, err := os.ReadFile(secret); err == nil { //nolint:gosec // it must not be there
		result = "It lets a program read what it may not."
	}
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp4", port); err == nil {
		_ = conn.Close()
		result = "It lets a program reach the network."
	}
	if err := os.WriteFile("own", []byte("x"), 0o600); err != nil {
		result = "It gives a program no folder of its own."
	}
	for what, err := range map[string]error{
		"change the mode of a file":       errors.Join(unlessNil(os.Chmod("own", 0o644)), unlessNil(os.Chmod(secret, 0o644))),                                       //nolint:gosec // neither may succeed
		"change the owner of a file":      errors.Join(unlessNil(os.Chown("own", os.Getuid(), os.Getgid())), unlessNil(os.Chown(secret, os.Getuid(), os.Getgid()))), //nolint:gosec // the same
		"change the times of a file":      errors.Join(unlessNil(os.Chtimes("own", time.Time{}, time.Unix(0, 0))), unlessNil(os.Chtimes(secret, time.Time{}, time.Unix(0, 0)))),
		"change the attributes of a file": errors.Join(unlessNil(unix.Setxattr("own", "user.x", nil, 0)), unlessNil(unix.Setxattr(secret, "user.x", nil, 0))),
		"change the mode of an open file": changesMode("own"),
		"make a namespace":                unlessNil(unix.Unshare(unix.CLONE_NEWUSER)),
		"mount a file system":             unlessNil(unix.Mount("none", ".", "tmpfs", 0, "")),
		"hold memory that is not counted": unlessNil(memfd()),
		"use the kernel's keys":           unlessNil(keyring()),
		"change the limits of a process":  unlessNil(unix.Prlimit(os.Getpid(), unix.RLIMIT_CORE, &unix.Rlimit{}, nil)), // named, so it could be any
	} {
		if err != nil {
			result = "It lets a program " + what + "."
		}
	}
	_, _ = os.Stdout.WriteString(result)
}
