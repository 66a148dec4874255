package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/domain"
)

// message returns e as it is stored on subject.
func (s *Store) message(ctx context.Context, to string, e domain.Event, m domain.Metadata) (*nats.Msg, error) {
	w, id, _ := parseSubject(to)
	e, m, err := s.sealed(ctx, w, e, m)
	if err != nil {
		return nil, err
	}
	encoded, err := s.codec.Encode(e)
	if err != nil {
		return nil, err
	}
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
	if a, ok := domain.ApprovalOf(e); ok {
		msg.Header[headerSource], msg.Header[headerSubject] = []string{"/v1/" + string(w) + "/approvals"}, []string{a.ID}
	}
	for name, value := range map[string]string{
		headerActor: m.Actor, headerAddress: m.Address, headerRequestID: m.RequestID, headerTraceParent: m.TraceParent,
	} {
		if value != "" {
			msg.Header[name] = []string{value}
		}
	}
	return msg, nil
}

// errMisnamed means that a message was stored with the headers in which a server names what it
// sends, so that its position is unknown.
var errMisnamed = errors.New("a stored message names another position than its own")

// commit decodes a stored message, and opens what it has of persons.
func (s *Store) commit(subject string, position uint64, header nats.Header, data []byte) Commit {
	s.last.notice(subject, position)
	return s.opened(s.decode(subject, position, header, data))
}

// decode decodes a stored message. What it has of persons is sealed.
func (s *Store) decode(subject string, position uint64, header nats.Header, data []byte) Commit {
	c := Commit{Position: position}
	c.Workspace, c.ID, c.Key = parseSubject(subject)
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
