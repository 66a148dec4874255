package program

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxRunning = 32
	// MaxOfWorkspace limits the running programs of one workspace, so that one whose
	// programs hang leaves some to the others.
	MaxOfWorkspace = 8
)

// Pool starts the programs of profiles. A nil Pool starts none. It is safe for
// concurrent use.
type Pool struct {
	Sandbox sandbox.Sandbox // what confines the programs
	Max     int             // running programs in all. Default: 32

	profiles map[string]Profile

	mu      sync.Mutex
	running int
	freed   chan struct{}            // closed when a slot is returned; nil: nobody waits
	of      map[domain.Workspace]int // running programs of each workspace
}

// NewPool returns nil where there are no profiles. It returns an error where there are
// some and this machine has nothing to confine programs with.
func NewPool(profiles []Profile) (*Pool, error) {
	if len(profiles) == 0 {
		return nil, nil //nolint:nilnil // nothing is started, which is no error
	}
	box, err := sandbox.Find()
	if err != nil {
		return nil, fmt.Errorf("programs of profiles can't be confined: %w", err)
	}
	p := &Pool{Sandbox: box, Max: maxRunning, profiles: map[string]Profile{}, of: map[domain.Workspace]int{}}
	for _, profile := range profiles {
		more, err := profile.Needs()
		if err != nil {
			return nil, fmt.Errorf("the profile %q: %w", profile.Name, err)
		}
		profile.Read = append(slices.Clone(profile.Read), more...)
		p.profiles[profile.Name] = profile
	}
	return p, nil
}

// Program is a program of a profile with its slots filled.
type Program struct {
	Command sandbox.Command
	URL     *url.URL // names it, to people and to limits
	Secrets []string // of its environment
}

// Program returns the program of an integration. A profile may have changed since the
// integration was written, so its arguments are checked again.
func (p *Pool) Program(i domain.Integration) (Program, *callerror.Error) {
	if p == nil {
		return Program{}, callerror.Misconfigured("Starting a process is not enabled on this service.")
	}
	profile, known := p.profiles[i.MCPCommand]
	if !known {
		return Program{}, callerror.Misconfigured("There is no profile called %s on this service any more.", i.MCPCommand)
	}
	slots := profile.ArgumentSlots()
	if problems := domain.ArgumentProblems(slots, i.MCPArgs); len(problems) > 0 {
		return Program{}, callerror.Misconfigured("The mcp_args of this integration don't fit its profile any more: %s %s.", problems[0].Pointer, problems[0].Detail)
	}
	shown := url.Values{}
	for n, slot := range slots {
		shown.Set(slot.Name, i.MCPArgs[n])
	}
	return Program{
		Command: profile.command(i.MCPArgs), Secrets: profile.secrets(),
		URL: &url.URL{Scheme: string(domain.Stdio), Opaque: profile.Name, RawQuery: shown.Encode()},
	}, nil
}

// Start starts a program for a workspace, unless too many are running.
func (p *Pool) Start(w domain.Workspace, c sandbox.Command) (*sandbox.Process, *callerror.Error) {
	if e := p.Acquire(w); e != nil {
		return nil, e
	}
	process, err := p.Sandbox.Start(c)
	if err != nil {
		p.Release(w)
		return nil, &callerror.Error{
			Code: domain.CallUnreachable, Unsent: true, Local: true, Cause: err,
			Sentence: "The MCP server's process could not be started: this machine has no means left for it.",
		}
	}
	go func() {
		<-process.Done()
		p.Release(w)
	}()
	return process, nil
}

// Acquire takes a slot for a program of a workspace.
func (p *Pool) Acquire(w domain.Workspace) *callerror.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.of[w] >= MaxOfWorkspace:
		return crowded("This workspace", MaxOfWorkspace)
	case p.running >= p.Max:
		return crowded("This service", p.Max)
	}
	p.running++
	p.of[w]++
	return nil
}

// Release returns the slot of a program of a workspace.
func (p *Pool) Release(w domain.Workspace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.of[w]--; p.of[w] == 0 {
		delete(p.of, w)
	}
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// Freed returns what is closed when the next slot is returned.
func (p *Pool) Freed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed == nil {
		p.freed = make(chan struct{})
	}
	return p.freed
}

// Running returns how many programs are running.
func (p *Pool) Running() int {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

// Names returns the names of the profiles, sorted.
func (p *Pool) Names() []string { return slices.Sorted(maps.Keys(p.profiles)) }

func crowded(whose string, limit int) *callerror.Error {
	return &callerror.Error{Code: domain.CallUnreachable, Final: true, Unsent: true, Local: true, Sentence: fmt.Sprintf(
		"%s has %d processes of MCP servers under way already; try again when one has ended.", whose, limit)}
}
