// Package chaos makes contended load on a service, and judges afterwards what the
// service answered against its log.
//
// Its promise: an answer that the log does not bear out is found, and so is a
// history of answers that no order of the operations explains.
package chaos

import "time"

// Kind is what an operation asks for.
type Kind string

// The operations. Look reads the head of the log (a dry run that changes
// nothing); Get reads the read model.
const (
	Create Kind = "create"
	Update Kind = "update"
	Delete Kind = "delete"
	Look   Kind = "look"
	Get    Kind = "get"
)

// Writes reports whether an operation of this kind is to leave an event.
func (k Kind) Writes() bool { return k == Create || k == Update || k == Delete }

// Outcome is what became of an operation, as its caller knows it.
type Outcome string

// The outcomes. An operation whose outcome is Unknown was not answered, or was
// answered that nobody knows: it may have been made, or may yet be, or never.
const (
	Acknowledged Outcome = "acknowledged"
	Refused      Outcome = "refused"
	Unknown      Outcome = "unknown"
)

// Operation is one request, with what it was answered.
type Operation struct {
	Client    int
	Kind      Kind
	Name      string // of the integration
	Request   string // its X-Request-Id, which the event of a write carries
	Marker    string // the display name that a write gives
	IfVersion uint64 // If-Match; 0: none

	Call, Return time.Duration // since the history began

	Outcome  Outcome
	Code     string // of a refusal
	Version  uint64 // that was answered; a deletion answers none
	Shown    string // the display name that a read was answered
	Position uint64 // of the event of an acknowledged write

	// What a Get has to show at least: the log as it was at a moment after From,
	// and this version.
	From    time.Duration
	AtLeast uint64
}
