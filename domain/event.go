package domain

import "time"

// An Event is a fact about one integration: something that happened and can no
// longer be refused. The set is closed; Evolve handles every member of it.
//
//sumtype:decl
type Event interface{ event() }

// IntegrationCreated opens the history of an integration, or opens it again
// after a deletion. It carries the whole state it leads to.
type IntegrationCreated struct {
	Integration Integration `json:"integration"`
}

// IntegrationUpdated gives an integration another configuration. It carries the
// whole state it leads to.
type IntegrationUpdated struct {
	Integration Integration `json:"integration"`
	Changed     []string    `json:"changed"` // JSON pointers into the configuration, sorted
}

// IntegrationDeleted ends an integration until it is created again.
type IntegrationDeleted struct {
	ID        ID        `json:"id"`
	Workspace Workspace `json:"workspace_id"`
	Name      string    `json:"name"`
	Version   uint64    `json:"version"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"`
}

// IntegrationProbed records what was seen when an integration was probed. It
// changes no configuration, so it never moves a version.
type IntegrationProbed struct {
	ID          ID          `json:"id"`
	Workspace   Workspace   `json:"workspace_id"`
	Incarnation uint64      `json:"incarnation"`
	Probe       Probe       `json:"probe"`
	Previous    ProbeStatus `json:"previous,omitempty"` // what the probe before saw; empty: there was none
	Days        []ProbeDay  `json:"days"`               // the last 30 with a probe, this one counted, oldest first
}

// CallKind says why an endpoint was called.
type CallKind string

// The reasons of a call.
const (
	ToolCall CallKind = "invoke" // on somebody's behalf
	TestCall CallKind = "test"   // to see what happens
)

// IntegrationInvoked records that an endpoint was called on somebody's behalf, or
// as a test.
// It never has what was sent or answered, and it changes no configuration.
type IntegrationInvoked struct {
	ID          ID            `json:"id"`
	Workspace   Workspace     `json:"workspace_id"`
	Incarnation uint64        `json:"incarnation"`
	Endpoint    string        `json:"endpoint"`
	Kind        CallKind      `json:"kind"`
	StatusCode  int           `json:"status_code,omitempty"` // 0: no answer
	ErrorCode   ErrorCode     `json:"error_code,omitempty"`  // empty: it succeeded
	Attempts    int           `json:"attempts"`
	Duration    time.Duration `json:"duration_ns"`
	At          time.Time     `json:"at"`
}

func (IntegrationCreated) event() {}
func (IntegrationUpdated) event() {}
func (IntegrationDeleted) event() {}
func (IntegrationProbed) event()  {}
func (IntegrationInvoked) event() {}

// Metadata says who caused an event, when and how. It travels beside the event
// as CloudEvents attributes.
type Metadata struct {
	CommandID   string    // names the command that caused it; the same after a retry
	At          time.Time // UTC
	Actor       string    // the id of the API key, or "system"
	Address     string    // the IP address the request came from
	RequestID   string
	TraceParent string // W3C trace context, empty when there is none
}
