package subscriber

import (
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Type is the type of an event.
type Type string

// Types of events. The first three are events of Changes, the last is of Probes.
const (
	Created Type = "integration.created"
	Updated Type = "integration.updated"
	Deleted Type = "integration.deleted"
	Probed  Type = "integration.probed"
)

// Event is an event of an integration.
type Event struct {
	ID          string    // unique; the same when the event is handled again
	Type        Type      // empty when the event can't be read
	Position    uint64    // in the log of its topic
	Time        time.Time // UTC
	Workspace   string    // id of the workspace
	Integration string    // id of the integration; Name returns its name
	Actor       string    // id of the API key that caused it, "system", or "person:" and an alias of who signed in
	Address     string    // IP address of the request that caused it, sealed: only the service can open it
	RequestID   string    // id of that request
	TraceParent string    // W3C trace context of that request; empty: none

	// Event is the typed event: a domain.IntegrationCreated for Created, and so on.
	// Programs that need the name, the changed fields or JSON only don't need it.
	Event domain.Event

	Err error // why the event can't be read; Event is nil then
}

// Name returns the name of the integration, or "" for an event of Probes.
func (e Event) Name() string {
	switch is := e.Event.(type) {
	case domain.IntegrationCreated:
		return is.Integration.Name
	case domain.IntegrationUpdated:
		return is.Integration.Name
	case domain.IntegrationDeleted:
		return is.Name
	case domain.AuthorizationChanged:
		return is.State.Name
	case domain.CallRequested, domain.CallApproved, domain.CallDenied, domain.CallExpired, domain.CallStarted, domain.CallMade, domain.CallCancelled, domain.CallLost:
		a, _ := domain.ApprovalOf(is)
		return a.Name
	case domain.IntegrationProbed, domain.IntegrationInvoked:
	}
	return ""
}

// Changed returns the JSON pointers of the fields that an event of type Updated
// changed, sorted.
func (e Event) Changed() []string {
	updated, _ := e.Event.(domain.IntegrationUpdated)
	return updated.Changed
}

// JSON returns the event as JSON, and the version of its schema. The schema is the one
// called Type.v<version> in asyncapi.yaml.
func (e Event) JSON() (data []byte, version int, err error) {
	if e.Err != nil {
		return nil, 0, e.Err
	}
	encoded, err := eventstore.Codec().Encode(e.Event)
	return encoded.Data, encoded.Version, err
}

// newEvent returns the event of a commit.
func newEvent(c eventstore.Commit) Event {
	e := Event{
		ID: c.Meta.CommandID, Position: c.Position, Time: c.Meta.At, Workspace: string(c.Workspace), Integration: string(c.ID),
		Actor: c.Meta.Actor, Address: c.Meta.Address, RequestID: c.Meta.RequestID, TraceParent: c.Meta.TraceParent, Event: c.Event, Err: c.Err,
	}
	if c.Err == nil {
		e.Type = Type(domain.NameOf(c.Event))
	}
	return e
}
