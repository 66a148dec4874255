package domain

import (
	"slices"
	"time"
)

// An Event is a fact about one integration, or about an approval of one of its calls:
// something that has happened. The set is closed; Evolve handles every member of it.
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
	Hours       ProbeHours  `json:"hours,omitzero"`     // the last 24 hours; absent in older records
}

// CallKind is the reason why an endpoint was called.
type CallKind string

// The reasons of a call.
const (
	ToolCall       CallKind = "invoke"     // a call by a user of the integration
	MCPCall        CallKind = "mcp"        // a call by an agent, at the MCP server of the workspace
	TestCall       CallKind = "test"       // a trial of an endpoint
	DiscoveryCall  CallKind = "discover"   // the upstream was asked what it offers
	ConnectionCall CallKind = "connection" // a trial of a configuration that is not saved
)

// CallKinds lists them all.
func CallKinds() []CallKind {
	return []CallKind{ToolCall, MCPCall, TestCall, DiscoveryCall, ConnectionCall}
}

// IntegrationInvoked records that an upstream was called: an endpoint was called or
// tested, its offers were listed, or an unsaved configuration was tried. It never
// contains what was sent or returned, and it changes no configuration.
type IntegrationInvoked struct {
	ID            ID            `json:"id"`
	Workspace     Workspace     `json:"workspace_id"`
	Name          string        `json:"name,omitempty"` // of the integration; empty before version 3
	Incarnation   uint64        `json:"incarnation"`
	Version       uint64        `json:"version,omitempty"`  // of the configuration; 0: it was not saved, or before version 3
	Endpoint      string        `json:"endpoint,omitempty"` // empty: no endpoint was called
	Method        string        `json:"method,omitempty"`   // of the endpoint; empty before version 3
	Kind          CallKind      `json:"kind"`
	StatusCode    int           `json:"status_code,omitempty"` // 0: no response
	Outcome       CallOutcome   `json:"outcome"`
	Attempts      int           `json:"attempts"`                 // 0: nothing was sent
	RequestBytes  int           `json:"request_bytes,omitempty"`  // of the body of the last attempt
	ResponseBytes int           `json:"response_bytes,omitempty"` // of the body that was read, decompressed
	Authorization string        `json:"authorization,omitempty"`  // the id of the one whose tokens it was made with; empty: none
	Duration      time.Duration `json:"duration_ns"`
	At            time.Time     `json:"at"`
	Approval      string        `json:"approval,omitempty"` // the id of the approval that it was made by; empty: it needed none
	Bodies        bool          `json:"bodies,omitempty"`   // what was sent and what came back are kept, sealed, for a while
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
	Actor       string    // the id of the API key or of who signed in, or "system"
	Address     string    // the IP address the request came from
	RequestID   string
	TraceParent string // W3C trace context, empty when there is none
}

// Evolve returns the integration after e. It never fails: a recorded event has
// happened, whatever the present rules are.
func Evolve(i Integration, e Event) Integration {
	switch e := e.(type) {
	case IntegrationCreated:
		return e.Integration
	case IntegrationUpdated:
		return e.Integration
	case IntegrationDeleted:
		return Integration{ID: e.ID, Workspace: e.Workspace, Name: e.Name, Version: e.Version, UpdatedAt: e.At, Deleted: true}
	case IntegrationProbed, IntegrationInvoked, AuthorizationChanged,
		CallRequested, CallApproved, CallDenied, CallExpired, CallStarted, CallMade, CallCancelled, CallLost:
		return i
	}
	return i
}

// probeDays is how many days are kept.
const probeDays = 30

// Probed returns the record of a probe of i, given the previous record, or the zero
// record if there was none. Counts of an earlier incarnation are dropped.
func (i Integration) Probed(last IntegrationProbed, p Probe) IntegrationProbed {
	next := IntegrationProbed{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, Probe: p}
	if last.Incarnation == i.Incarnation && last.ID == i.ID {
		next.Previous, next.Days, next.Hours = last.Probe.Status, slices.Clone(last.Days), last.Hours
	}
	next.Hours = next.Hours.with(p)
	today := p.At.UTC().Format(time.DateOnly)
	if n := len(next.Days); n == 0 || next.Days[n-1].Date < today {
		next.Days = append(next.Days, ProbeDay{Date: today})
	}
	day := &next.Days[len(next.Days)-1] // if the clock goes back, the probe counts for the latest day
	day.Total++
	if p.Status == Healthy {
		day.Healthy++
	}
	oldest := p.At.UTC().AddDate(0, 0, 1-probeDays).Format(time.DateOnly)
	next.Days = slices.DeleteFunc(next.Days, func(d ProbeDay) bool { return d.Date < oldest })
	return next
}

// Changed reports whether the status differs from that of the previous probe.
func (e IntegrationProbed) Changed() bool { return e.Previous != e.Probe.Status }
