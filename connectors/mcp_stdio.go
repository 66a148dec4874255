package connectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// How many programs may be under way at once: in all, and of one workspace, so that
// one whose programs hang leaves some to the others.
const (
	mostPrograms   = 32
	mostOfOneSpace = 8
)

// programs starts what the operator's profiles describe, each session its own.
type programs struct {
	box      sandbox.Sandbox
	profiles map[string]Profile
	slots    chan struct{}

	mu       sync.Mutex
	underway map[domain.Workspace]int
}

// newPrograms returns nil where there are no profiles. It refuses to be where
// there are some and nothing that holds what they start.
func newPrograms(profiles []Profile) (*programs, error) {
	if len(profiles) == 0 {
		return nil, nil //nolint:nilnil // nothing is started, which is no error
	}
	box, err := sandbox.Find()
	if err != nil {
		return nil, fmt.Errorf("programs of profiles can't be confined: %w", err)
	}
	all := &programs{box: box, profiles: map[string]Profile{}, slots: make(chan struct{}, mostPrograms), underway: map[domain.Workspace]int{}}
	for _, p := range profiles {
		all.profiles[p.Name] = p
	}
	return all, nil
}

// build returns the call of a tool of the program that i has started. A profile
// may have changed since i was written, so its arguments are checked again.
func (all *programs) build(i domain.Integration, body string) (*outgoing, *fault) {
	if all == nil {
		return nil, misconfigured("Starting a process is not enabled on this service.")
	}
	p, known := all.profiles[i.MCPCommand]
	if !known {
		return nil, misconfigured("There is no profile called %s on this service any more.", i.MCPCommand)
	}
	slots := p.slots()
	if problems := domain.ArgumentProblems(slots, i.MCPArgs); len(problems) > 0 {
		return nil, misconfigured("The mcp_args of this integration don't fit its profile any more: %s %s.", problems[0].Pointer, problems[0].Detail)
	}
	shown := url.Values{}
	for n, slot := range slots {
		shown.Set(slot.Name, i.MCPArgs[n])
	}
	command := p.command(i.MCPArgs)
	return &outgoing{
		method: toolsCall, url: &url.URL{Scheme: string(domain.Stdio), Opaque: p.Name, RawQuery: shown.Encode()}, body: []byte(body),
		header: http.Header{}, secrets: p.secrets(), program: &command,
	}, nil
}

// enter takes a slot for a program of a workspace. A fault is none of the program's.
func (all *programs) enter(w domain.Workspace) *fault {
	all.mu.Lock()
	defer all.mu.Unlock()
	refuse := func(whose string, most int) *fault {
		return &fault{code: domain.CallUnreachable, final: true, unsent: true, ours: true, sentence: fmt.Sprintf(
			"%s has %d processes of MCP servers under way already; try again when one has ended.", whose, most)}
	}
	if all.underway[w] >= mostOfOneSpace {
		return refuse("This workspace", mostOfOneSpace)
	}
	select {
	case all.slots <- struct{}{}:
	default:
		return refuse("This service", cap(all.slots))
	}
	all.underway[w]++
	return nil
}

func (all *programs) leave(w domain.Workspace) {
	all.mu.Lock()
	defer all.mu.Unlock()
	<-all.slots
	if all.underway[w]--; all.underway[w] == 0 {
		delete(all.underway, w)
	}
}

// start starts a program of a workspace, unless too many are under way.
func (all *programs) start(w domain.Workspace, c sandbox.Command) (*sandbox.Process, *fault) {
	if f := all.enter(w); f != nil {
		return nil, f
	}
	p, err := all.box.Start(c)
	if err != nil {
		all.leave(w)
		return nil, &fault{code: domain.CallUnreachable, unsent: true, ours: true, sentence: "The MCP server's process could not be started: this machine has no means left for it."}
	}
	go func() {
		<-p.Done()
		all.leave(w)
	}()
	return p, nil
}

// spawned is a program as a transport of the SDK.
type spawned struct {
	programs  *programs
	workspace domain.Workspace
	command   sandbox.Command
	session   *session
}

// Connect implements mcp.Transport.
func (s spawned) Connect(ctx context.Context) (sdk.Connection, error) {
	wire := s.session.wire
	p, f := s.programs.start(s.workspace, s.command)
	if f != nil {
		return nil, wire.stop(f)
	}
	context.AfterFunc(wire.life, p.End)
	out := &lines{wire: wire, out: p.Out}
	s.session.mu.Lock()
	s.session.program, s.session.lines = p, out
	s.session.mu.Unlock()
	return (&sdk.IOTransport{Reader: out, Writer: p.In, MaxLineLength: 2 * maxBody}).Connect(ctx)
}

// lines is what a program says, of bounded size: as a whole, and in each line.
type lines struct {
	wire  *wire
	out   io.ReadCloser
	size  int // of this line
	ended atomic.Bool
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	n, err := l.out.Read(p)
	for _, b := range p[:n] {
		if l.size++; b == '\n' {
			l.size = 0
		}
		if l.size > maxBody {
			return 0, l.wire.stop(tooLong(maxBody))
		}
	}
	if f := l.wire.room(l.size); f != nil {
		return 0, l.wire.stop(f)
	}
	if !l.wire.take(n) {
		return 0, l.wire.stop(tooLong(mostSaid))
	}
	l.ended.Store(errors.Is(err, io.EOF))
	return n, err //nolint:wrapcheck // io.Reader
}

// Close implements io.Closer.
func (l *lines) Close() error { return l.out.Close() }

// broken is why a program did not answer, when it was neither late nor refused.
func (s *session) broken(ctx context.Context) *fault {
	if !s.lines.ended.Load() {
		return &fault{code: domain.CallUpstreamError, sentence: "What the MCP server wrote to its standard output is not MCP." + s.lastWords()}
	}
	why := "It closed its standard output."
	select {
	case <-s.program.Done():
		why = s.program.Why()
	case <-time.After(farewell):
	case <-ctx.Done():
	}
	return &fault{code: domain.CallUnreachable, sentence: "The MCP server's process did not answer. " + why + s.lastWords()}
}

// lastWords returns the end of what a program wrote to stderr, as a sentence. A
// secret may be cut in two where its memory begins, so that line goes.
func (s *session) lastWords() string {
	said := s.program.Said()
	if len(said) >= sandbox.MostSaid {
		_, said, _ = strings.Cut(said, "\n")
	}
	said = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s.wire.scrubber.Text(said))
	said = strings.Join(strings.Fields(said), " ")
	if said == "" {
		return ""
	}
	if runes := []rune(said); len(runes) > mostTold {
		said = "…" + string(runes[len(runes)-mostTold:])
	}
	return " It wrote to stderr last: " + strings.TrimRight(said, ". ") + "."
}
