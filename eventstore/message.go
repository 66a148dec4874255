package eventstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/domain"
)

// A Commit is one stored event.
type Commit struct {
	Workspace domain.Workspace
	ID        domain.ID
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

// message returns e as it is stored on subject.
func (s *Store) message(to string, e domain.Event, m domain.Metadata) (*nats.Msg, error) {
	encoded, err := s.codec.Encode(e)
	if err != nil {
		return nil, err
	}
	w, id := parseSubject(to)
	typ := encoded.Name + ".v" + strconv.Itoa(encoded.Version)
	msg := &nats.Msg{Subject: to, Data: encoded.Data, Header: nats.Header{
		headerSpec:        {"1.0"},
		headerID:          {m.CommandID},
		headerType:        {typ},
		headerSource:      {"/v1/" + string(w) + "/integrations"},
		headerSubject:     {string(id)},
		headerTime:        {m.At.UTC().Format(time.RFC3339Nano)},
		headerSchema:      {"/asyncapi.yaml#/components/schemas/" + typ},
		headerContentType: {"application/json"},
	}}
	for name, value := range map[string]string{
		headerActor: m.Actor, headerAddress: m.Address, headerRequestID: m.RequestID, headerTraceParent: m.TraceParent,
	} {
		if value != "" {
			msg.Header[name] = []string{value}
		}
	}
	return msg, nil
}

// commit decodes a stored message.
func (s *Store) commit(subject string, position uint64, header nats.Header, data []byte) Commit {
	c := Commit{Position: position}
	c.Workspace, c.ID = parseSubject(subject)
	c.Meta, c.Err = metadata(header)
	name, version, ok := strings.Cut(header.Get(headerType), ".v")
	number, err := strconv.Atoi(version)
	if !ok || err != nil {
		c.Err = fmt.Errorf("message %d on %s: unknown type %q", position, subject, header.Get(headerType))
		return c
	}
	if c.Err == nil {
		c.Event, c.Err = s.codec.Decode(domain.Encoded{Name: name, Version: number, Data: data})
	}
	if c.Err != nil {
		c.Event, c.Err = nil, fmt.Errorf("message %d on %s: %w", position, subject, c.Err)
	}
	return c
}

func metadata(h nats.Header) (domain.Metadata, error) {
	at, err := time.Parse(time.RFC3339Nano, h.Get(headerTime))
	return domain.Metadata{
		CommandID: h.Get(headerID), At: at, Actor: h.Get(headerActor), Address: h.Get(headerAddress),
		RequestID: h.Get(headerRequestID), TraceParent: h.Get(headerTraceParent),
	}, err
}
