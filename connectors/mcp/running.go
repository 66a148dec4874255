package mcp

import (
	"bufio"
	"errors"
	"sync"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

// maxIdle bounds what a program may write while no session uses it, in bytes.
const maxIdle = 64 << 10

// Running is a program that one session after another uses.
type Running struct {
	process *sandbox.Process
	lines   chan []byte
	ended   chan struct{} // closed once nothing more is read
	quit    chan struct{} // closed by End
	end     sync.Once

	mu   sync.Mutex
	user accounting // of the session that uses it; nil: none does
	idle int        // bytes that it has written since
}

func newRunning(process *sandbox.Process) *Running {
	r := &Running{process: process, lines: make(chan []byte), ended: make(chan struct{}), quit: make(chan struct{})}
	go r.read()
	return r
}

// Process returns the process, which has its end and what it wrote to stderr.
func (r *Running) Process() *sandbox.Process { return r.process }

// Idle reports whether the program still runs, and can be used by another session.
func (r *Running) Idle() bool { return !r.hasEnded() }

// End ends the program, and returns at once.
func (r *Running) End() {
	r.end.Do(func() {
		close(r.quit)
		r.process.End()
	})
}

func (r *Running) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	case <-r.quit:
		return true
	default:
		return false
	}
}

// accounting counts bytes of a line that has size so far, and reports whether that is not too
// much.
type accounting func(n, size int) bool

// account makes a session account for what the program writes, nil: none.
func (r *Running) account(user accounting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.idle = user, 0
}

// read reads lines until the program ends, or writes more than it may.
func (r *Running) read() {
	defer close(r.ended)
	in := bufio.NewReaderSize(r.process.Out, 64<<10)
	for {
		line, ok := r.line(in)
		if len(line) > 0 {
			select {
			case r.lines <- line:
			case <-r.quit:
				return
			}
		}
		if !ok {
			return
		}
	}
}

// line reads a line. It reports false for the last one.
func (r *Running) line(in *bufio.Reader) (line []byte, ok bool) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !r.accept(len(part), len(line)) {
			return nil, false
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err == nil
		}
	}
}

// accept counts bytes that the program wrote, of a line that has size so far.
func (r *Running) accept(n, size int) bool {
	r.mu.Lock()
	user := r.user
	r.idle += n
	idle := r.idle
	r.mu.Unlock()
	if user == nil {
		if idle > maxIdle {
			r.End()
		}
		return idle <= maxIdle
	}
	return user(n, size)
}
