package domain

import "time"

// An Event is a fact about one integration: something that has happened. The set is
// closed; Evolve handles every member of it.
//
//sumtype:decl
type Event interface{ event() }

// IntegrationCreated records that an integration was created, or created again
// after a deletion. It carries the whole resulting state.
type IntegrationCreated struct {
	Integration Integration `json:"integration"`
}

// IntegrationUpdated records another configuration of an integration. It carries
// the whole resulting state.
type IntegrationUpdated struct {
	Integration Integration `json:"integration"`
	Changed     []string    `json:"changed"` // JSON pointers into the configuration, sorted
}

// IntegrationDeleted records a deletion. An integration may be created again.
type IntegrationDeleted struct {
	ID        ID        `json:"id"`
	Workspace Workspace `json:"workspace_id"`
	Name      string    `json:"name"`
	Version   uint64    `json:"version"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"`
}

// IntegrationProbed records the result of a probe. It changes no configuration, so
// the version stays the same.
type IntegrationProbed struct {
	ID          ID          `json:"id"`
	Workspace   Workspace   `json:"workspace_id"`
	Incarnation uint64      `json:"incarnation"`
	Probe       Probe       `json:"probe"`
	Previous    ProbeStatus `json:"previous,omitempty"` // the status of the previous probe; empty: there was none
	Days        []ProbeDay  `json:"days"`               // the last 30 days with a probe, including this one, oldest first
}

// CallKind is the reason why an endpoint was called.
type CallKind string

// The reasons of a call.
const (
	ToolCall CallKind = "invoke" // a call by a user of the integration
	TestCall CallKind = "test"   // a trial of the configuration
)

// IntegrationInvoked records that an endpoint was called or tested. It never
// contains what was sent or returned, and it changes no configuration.
type IntegrationInvoked struct {
	ID          ID            `json:"id"`
	Workspace   Workspace     `json:"workspace_id"`
	Incarnation uint64        `json:"incarnation"`
	Endpoint    string        `json:"endpoint"`
	Kind        CallKind      `json:"kind"`
	StatusCode  int           `json:"status_code,omitempty"` // 0: no response
	ErrorCode   ErrorCode     `json:"error_code,omitempty"`  // empty: success
	Attempts    int           `json:"attempts"`
	Duration    time.Duration `json:"duration_ns"`
	At          time.Time     `json:"at"`
}

func (IntegrationCreated) event() {}
func (IntegrationUpdated) event() {}
func (IntegrationDeleted) event() {}
func (IntegrationProbed) event()  {}
func (IntegrationInvoked) event() {}

// Metadata records who caused an event, when and how. It is stored beside the event
// as CloudEvents attributes.
type Metadata struct {
	CommandID   string    // the command that caused it; the same after a retry
	At          time.Time // UTC
	Actor       string    // the id of the API key, or "system"
	Address     string    // the IP address the request came from
	RequestID   string
	TraceParent string // W3C trace context, empty when there is none
}
