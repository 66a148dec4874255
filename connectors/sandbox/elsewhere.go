//go:build !linux

package sandbox

import (
	"errors"
	"io"
)

var errNotHere = errors.New("programs are confined on Linux only")

// Become does nothing where there is no sandbox.
func Become() {}

// Find returns an error: there is no sandbox here.
func Find() (Sandbox, error) { return Sandbox{}, errNotHere }

// Readable returns nothing.
func Readable() []string { return nil }

// Working returns none.
func Working() []Sandbox { return nil }

// Start always fails.
func (s Sandbox) Start(Command) (*Process, error) { return nil, errNotHere }

// Process is never there.
type Process struct {
	In  io.WriteCloser
	Out io.ReadCloser
}

// End does nothing.
func (p *Process) End() {}

// Done is never closed.
func (p *Process) Done() <-chan struct{} { return nil }

// Why returns nothing.
func (p *Process) Why() string { return "" }

// Stderr returns nothing.
func (p *Process) Stderr() string { return "" }
