package mcp

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// program is a server that is started as a program, as a transport of the SDK.
type program struct {
	transport *transport
	start     func() (*sandbox.Process, *callerror.Error)

	mu      sync.Mutex
	process *sandbox.Process // once it is started
	output  *limitedOutput
}

// Connect implements mcp.Transport.
func (p *program) Connect(ctx context.Context) (sdk.Connection, error) {
	process, e := p.start()
	if e != nil {
		return nil, p.transport.stop(e)
	}
	context.AfterFunc(p.transport.life, process.End)
	output := &limitedOutput{transport: p.transport, out: process.Out}
	p.mu.Lock()
	p.process, p.output = process, output
	p.mu.Unlock()
	return (&sdk.IOTransport{Reader: output, Writer: process.In, MaxLineLength: 2 * maxMessage}).Connect(ctx)
}

// started reports whether there is a process.
func (p *program) started() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process != nil
}

// limitedOutput is the standard output of a program, whose size is bounded: as a whole,
// and in each line.
type limitedOutput struct {
	transport *transport
	out       io.ReadCloser
	size      int // of this line
	ended     atomic.Bool
}

// Read implements io.Reader.
func (o *limitedOutput) Read(p []byte) (int, error) {
	n, err := o.out.Read(p)
	oversized := false
	for _, b := range p[:n] {
		if o.size++; b == '\n' {
			o.size = 0
		}
		oversized = oversized || o.size > maxMessage
	}
	if e := o.transport.accept(n, o.size, oversized); e != nil {
		return 0, e
	}
	o.ended.Store(errors.Is(err, io.EOF))
	return n, err //nolint:wrapcheck // io.Reader
}

// Close implements io.Closer.
func (o *limitedOutput) Close() error { return o.out.Close() }

// explain returns why a program did not answer, when it was neither late nor refused.
func (p *program) explain(ctx context.Context, quote func(string) string) *callerror.Error {
	if !p.output.ended.Load() {
		return callerror.Upstream("%s", "What the MCP server wrote to its standard output is not MCP."+p.stderr(quote))
	}
	why := "It closed its standard output."
	select {
	case <-p.process.Done():
		why = p.process.Why()
	case <-time.After(closeTimeout):
	case <-ctx.Done():
	}
	return &callerror.Error{Code: domain.CallUnreachable, Sentence: "The MCP server's process did not answer. " + why + p.stderr(quote)}
}

// stderr returns the end of what a program wrote to stderr, as a sentence. A secret may
// be cut in two where the memory of it begins, so that line is dropped.
func (p *program) stderr(quote func(string) string) string {
	text := p.process.Stderr()
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
