// Package sandbox starts a program of someone else's so that it can do little
// harm.
//
// Its promise: the program reads and writes nothing but what its Command names,
// reaches no network unless that is allowed, uses no more than its limits, and
// neither it nor anything it started outlives the Process or this service.
package sandbox

import (
	"time"
)

// Command is a program to start, and its permissions.
type Command struct {
	Executable string
	Args       []string // behind the executable's own name
	Env        []string // all of its environment, NAME=value each
	Read       []string // files and folders that it may read, beside the system's programs and libraries
	Write      []string // those that it may change as well, beside a folder of its own
	Network    bool     // may it reach the network?
	Limits     Limits
}

// Limits bound what a program uses.
type Limits struct {
	Memory    int64         // bytes, of all its processes together
	FileSize  int64         // bytes of a file that it writes
	CPU       time.Duration // of each of its processes
	Wall      time.Duration // from its start to its end
	OpenFiles int64         // of each of its processes
	Processes int64         // at once, itself included
}

// MaxStderr is how many bytes of the end of what a program writes to stderr are
// remembered.
const MaxStderr = 4 << 10

// kind is a way to confine a program.
type kind string

const (
	bubblewrap kind = "bubblewrap"
	namespaced kind = "Landlock in namespaces of its own"
	landlocked kind = "Landlock"
)

// Sandbox is a way to confine programs that works on this machine. Get one from
// Find or Working.
type Sandbox struct {
	kind  kind
	bwrap string // the program, where that is the way
}

// String names the way.
func (s Sandbox) String() string { return string(s.kind) }
