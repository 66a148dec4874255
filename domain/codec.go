package domain

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Codec encodes events for storage and decodes them. The stored name of an event
// is part of the history: it never changes, even when the Go type is renamed. The
// zero value is ready to use.
type Codec struct {
	Unmarshal func(data []byte, v any) error // default: encoding/json, whose semantics it must keep

	upcasters map[string][]func(map[string]any) // nil: the package's own
}

// upcasters holds, for each name, the functions that upcast version n of the stored
// form to n+1, at index n-1. The present version is len(upcasters) + 1.
var upcasters = map[string][]func(map[string]any){
	probedName:  {countProbe},
	invokedName: {nameKind, nameOutcome},
}

// nameKind upcasts a call from before tests were recorded.
func nameKind(old map[string]any) { old["kind"] = string(ToolCall) }

// nameOutcome upcasts a call from before successes were named.
func nameOutcome(old map[string]any) {
	old["outcome"] = string(CallOK)
	if code, failed := old["error_code"]; failed {
		old["outcome"] = code
	}
	delete(old, "error_code")
}

// countProbe upcasts a probe from before probes were counted by day.
func countProbe(old map[string]any) {
	probe, _ := old["probe"].(map[string]any)
	at, _ := probe["at"].(string)
	healthy := 0
	if probe["status"] == string(Healthy) {
		healthy = 1
	}
	if len(at) >= len(time.DateOnly) { // times are stored in UTC
		old["days"] = []any{map[string]any{"date": at[:len(time.DateOnly)], "healthy": healthy, "total": 1}}
	}
}

func (c Codec) upcastersOf(name string) []func(map[string]any) {
	if c.upcasters == nil {
		return upcasters[name]
	}
	return c.upcasters[name]
}

// Stored names. They never change.
const (
	createdName = "integration.created"
	updatedName = "integration.updated"
	deletedName = "integration.deleted"
	probedName  = "integration.probed"
	invokedName = "integration.invoked"

	callRequestedName = "approval.requested"
	callApprovedName  = "approval.approved"
	callDeniedName    = "approval.denied"
	callExpiredName   = "approval.expired"
	callStartedName   = "approval.started"
	callMadeName      = "approval.made"
	callCancelledName = "approval.cancelled"
	callLostName      = "approval.outcome_unknown"
)

// Encoded is an event in its stored form.
type Encoded struct {
	Name    string // such as integration.created
	Version int    // of the stored form, from 1
	Data    []byte // JSON
}

// Encode returns e in the present version of its stored form.
func (c Codec) Encode(e Event) (Encoded, error) {
	name := NameOf(e)
	data, err := json.Marshal(e)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %s: %w", name, err)
	}
	return Encoded{Name: name, Version: c.version(name), Data: data}, nil
}

func (c Codec) version(name string) int { return len(c.upcastersOf(name)) + 1 }

// NameOf returns the stored name of e, such as integration.created.
func NameOf(e Event) string {
	switch e := e.(type) {
	case IntegrationCreated:
		return createdName
	case IntegrationUpdated:
		return updatedName
	case IntegrationDeleted:
		return deletedName
	case IntegrationProbed:
		return probedName
	case IntegrationInvoked:
		return invokedName
	case AuthorizationChanged:
		return changeName(e.Change)
	case CallRequested:
		return callRequestedName
	case CallApproved:
		return callApprovedName
	case CallDenied:
		return callDeniedName
	case CallExpired:
		return callExpiredName
	case CallStarted:
		return callStartedName
	case CallMade:
		return callMadeName
	case CallCancelled:
		return callCancelledName
	case CallLost:
		return callLostName
	}
	return ""
}

// Decode returns the stored event, upcast to the present version. It fails on a
// name or a version that this program doesn't know.
func (c Codec) Decode(stored Encoded) (Event, error) {
	data, err := c.upcast(stored)
	if err != nil {
		return nil, err
	}
	switch stored.Name {
	case createdName:
		return decode[IntegrationCreated](c, stored.Name, data)
	case updatedName:
		return decode[IntegrationUpdated](c, stored.Name, data)
	case deletedName:
		return decode[IntegrationDeleted](c, stored.Name, data)
	case probedName:
		return decode[IntegrationProbed](c, stored.Name, data)
	case invokedName:
		return decode[IntegrationInvoked](c, stored.Name, data)
	case callRequestedName:
		return decode[CallRequested](c, stored.Name, data)
	case callApprovedName:
		return decode[CallApproved](c, stored.Name, data)
	case callDeniedName:
		return decode[CallDenied](c, stored.Name, data)
	case callExpiredName:
		return decode[CallExpired](c, stored.Name, data)
	case callStartedName:
		return decode[CallStarted](c, stored.Name, data)
	case callMadeName:
		return decode[CallMade](c, stored.Name, data)
	case callCancelledName:
		return decode[CallCancelled](c, stored.Name, data)
	case callLostName:
		return decode[CallLost](c, stored.Name, data)
	}
	if e, ok, err := decodeAuthorization(c, stored.Name, data); ok {
		return e, err
	}
	return nil, fmt.Errorf("decode event: unknown name %q", stored.Name)
}

func decode[E Event](c Codec, name string, data []byte) (Event, error) {
	unmarshal := c.Unmarshal
	if unmarshal == nil {
		unmarshal = json.Unmarshal
	}
	var e E
	if err := unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return e, nil
}

// upcast returns the data of stored in the present version.
func (c Codec) upcast(stored Encoded) ([]byte, error) {
	switch present := c.version(stored.Name); {
	case stored.Version == present:
		return stored.Data, nil
	case stored.Version < 1 || stored.Version > present:
		return nil, fmt.Errorf("decode %s: unknown version %d", stored.Name, stored.Version)
	}
	var old map[string]any
	if err := json.Unmarshal(stored.Data, &old); err != nil {
		return nil, fmt.Errorf("decode %s version %d: %w", stored.Name, stored.Version, err)
	}
	if old == nil {
		old = map[string]any{}
	}
	for _, upcast := range c.upcastersOf(stored.Name)[stored.Version-1:] {
		upcast(old)
	}
	return json.Marshal(old)
}

// ApprovalTypes lists the stored names of the events of approvals.
func ApprovalTypes() []string {
	return []string{
		callRequestedName, callApprovedName, callDeniedName, callExpiredName, callStartedName, callMadeName, callCancelledName, callLostName,
	}
}
