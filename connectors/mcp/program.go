package mcp

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// program is a server that is started as a program, as a transport of the SDK.
type program struct {
	transport *transport
	start     func() (*sandbox.Process, *callerror.Error)
	resume    *Agreement

	mu      sync.Mutex
	running *Running // once it is started

	malformed atomic.Bool // it wrote a line that is no message
}

// Connect implements mcp.Transport.
func (p *program) Connect(context.Context) (sdk.Connection, error) {
	p.mu.Lock()
	running := p.running
	p.mu.Unlock()
	if running == nil {
		process, e := p.start()
		if e != nil {
			return nil, p.transport.stop(e)
		}
		running = newRunning(process)
		p.mu.Lock()
		p.running = running
		p.mu.Unlock()
	}
	running.account(func(n, size int) bool { return p.transport.accept(n, size, size > maxMessage) == nil })
	left := context.AfterFunc(p.transport.life, running.End)
	return &programConnection{program: p, transport: p.transport, running: running, resume: p.resume, left: left, local: make(chan jsonrpc.Message, 1), closed: make(chan struct{})}, nil
}

// started reports whether there is a process.
func (p *program) started() bool { return p.process() != nil }

func (p *program) process() *Running {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// programConnection is the conversation of one session with a program: a message a line.
type programConnection struct {
	program   *program
	transport *transport
	running   *Running
	resume    *Agreement
	left      func() bool          // stops the program from ending with the session
	local     chan jsonrpc.Message // answers that were agreed on earlier

	close  sync.Once
	closed chan struct{}
}

// SessionID implements mcp.Connection: there is none.
func (c *programConnection) SessionID() string { return "" }

// Read implements mcp.Connection.
func (c *programConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		select {
		case <-c.closed: // what the program writes from now on is for another session
			return nil, io.EOF
		default:
		}
		select {
		case m := <-c.local:
			return m, nil
		case line := <-c.running.lines:
			if line = bytes.TrimSpace(line); len(line) > 0 {
				return c.decode(line)
			}
		case <-c.running.ended:
			select {
			case line := <-c.running.lines: // the last one
				if line = bytes.TrimSpace(line); len(line) > 0 {
					return c.decode(line)
				}
			default:
				return nil, io.EOF
			}
		case <-c.closed:
			return nil, io.EOF
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // the same
		}
	}
}

func (c *programConnection) decode(line []byte) (jsonrpc.Message, error) {
	m, err := jsonrpc.DecodeMessage(line)
	if err != nil {
		c.program.malformed.Store(true)
	}
	return m, err //nolint:wrapcheck // the session explains it
}

// Write implements mcp.Connection.
func (c *programConnection) Write(_ context.Context, m jsonrpc.Message) error {
	if answer := c.resume.answer(m); answer != nil {
		c.local <- answer
		return nil
	}
	if request, ok := m.(*jsonrpc.Request); ok && request.Method == initializedMethod && c.resume.resumes() {
		return nil
	}
	line, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err //nolint:wrapcheck // the SDK reports it
	}
	_, err = c.running.process.In.Write(append(line, '\n'))
	return err //nolint:wrapcheck // the same
}

// Close implements mcp.Connection. The program ends, unless it is kept.
func (c *programConnection) Close() error {
	c.close.Do(func() {
		close(c.closed)
		c.transport.mu.Lock()
		kept := c.transport.kept
		c.transport.mu.Unlock()
		if !kept { // it ends with the session, and by itself where it can
			_ = c.running.process.In.Close()
			return
		}
		c.left()
		c.running.account(nil)
	})
	return nil
}

// explain returns why a program did not answer, when it was neither late nor refused.
func (p *program) explain(ctx context.Context, quote func(string) string) *callerror.Error {
	if p.malformed.Load() {
		return callerror.Upstream("%s", "What the MCP server wrote to its standard output is not MCP."+p.stderr(quote))
	}
	why := "It closed its standard output."
	select {
	case <-p.process().process.Done():
		why = p.process().process.Why()
	case <-time.After(closeTimeout):
	case <-ctx.Done():
	}
	return &callerror.Error{Code: domain.CallUnreachable, Sentence: "The MCP server's process did not answer. " + why + p.stderr(quote)}
}

// stderr returns the end of what a program wrote to stderr, as a sentence. A secret may
// be cut in two where the memory of it begins, so that line is dropped.
func (p *program) stderr(quote func(string) string) string {
	text := p.process().process.Stderr()
	if len(text) >= sandbox.MaxStderr {
		_, text, _ = strings.Cut(text, "\n")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, quote(text))
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	if runes := []rune(text); len(runes) > MaxQuote {
		text = "…" + string(runes[len(runes)-MaxQuote:])
	}
	return " It wrote to stderr last: " + strings.TrimRight(text, ". ") + "."
}
