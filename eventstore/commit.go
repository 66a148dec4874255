package eventstore

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/domain"
)

// A Commit is one stored event.
type Commit struct {
	Workspace domain.Workspace
	ID        domain.ID
	Key       string // of the authorization or approval that the event is about; empty: it is about the integration
	Position  uint64 // the sequence in its stream
	Event     domain.Event
	Meta      domain.Metadata
	Err       error // why the event is unreadable; Event is nil then
}

// Ref returns the integration of the event.
func (c Commit) Ref() domain.Ref { return domain.Ref{Workspace: c.Workspace, ID: c.ID} }

// A stored message is a CloudEvent in binary mode: its headers are the attributes
// (CloudEvents 1.0, NATS protocol binding 3.1).
const (
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerTime        = "ce-time"
	headerSource      = "ce-source"
	headerSubject     = "ce-subject"
	headerSchema      = "ce-dataschema"
	headerSpec        = "ce-specversion"
	headerActor       = "ce-actor"
	headerAddress     = "ce-address"
	headerRequestID   = "ce-requestid"
	headerTraceParent = "ce-traceparent"
	headerContentType = "content-type"
)

func metadata(h nats.Header) (domain.Metadata, error) {
	at, err := time.Parse(time.RFC3339Nano, h.Get(headerTime))
	return domain.Metadata{
		CommandID: h.Get(headerID), At: at, Actor: h.Get(headerActor), Address: h.Get(headerAddress),
		RequestID: h.Get(headerRequestID), TraceParent: h.Get(headerTraceParent),
	}, err
}
