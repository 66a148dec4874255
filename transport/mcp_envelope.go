package transport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// envelope is a message of JSON-RPC, as far as it is checked before the SDK reads it.
type envelope struct {
	raw    json.RawMessage
	id     json.RawMessage // nil: a notification
	method string          // empty: a response
	params json.RawMessage // nil: none, or null
}

// readEnvelopes refuses what no message of MCP may be, in words of the protocol: the SDK would
// answer with another id than it was given, or with the names of its own types.
func readEnvelopes(data []byte, version string) (all []envelope, isBatch bool, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		one, err := readEnvelope(data, "")
		return []envelope{one}, false, err
	}
	var raw []json.RawMessage
	if json.Unmarshal(data, &raw) != nil || len(raw) == 0 {
		return nil, true, refuseEnvelope("the body is not a list of messages of JSON-RPC 2.0")
	}
	if version >= firstWithoutBatches {
		return nil, true, refuseEnvelope("the body must be one message: MCP has no batches from version " + firstWithoutBatches + " on")
	}
	for n, message := range raw {
		one, err := readEnvelope(message, "/"+strconv.Itoa(n))
		if err != nil {
			return nil, true, err
		}
		all = append(all, one)
	}
	return all, true, nil
}

const firstWithoutBatches = "2025-06-18"

func refuseEnvelope(text string) error {
	return domain.Errorf(domain.Invalid, "mcp_request_invalid", "%s", text)
}

// readEnvelope reads the message at a place in the body.
func readEnvelope(data []byte, at string) (envelope, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return envelope{}, refuseEnvelope(cmp.Or(at, "the body") + " is not a message of JSON-RPC 2.0")
	}
	var version string
	if json.Unmarshal(members["jsonrpc"], &version) != nil || version != "2.0" {
		return envelope{}, refuseEnvelope(at + `/jsonrpc: must be "2.0"`)
	}
	one := envelope{raw: data, id: present(members["id"]), params: present(members["params"])}
	badID := refuseEnvelope(at + "/id: must be a string, or an integer of at most 53 bits")
	if one.id != nil && !isRequestID(one.id) {
		return envelope{}, badID
	}
	if method, ok := members["method"]; !ok {
		switch {
		case members["result"] == nil && members["error"] == nil:
			return envelope{}, refuseEnvelope(at + "/method: is missing")
		case one.id == nil:
			return envelope{}, badID
		}
		return one, nil
	} else if json.Unmarshal(method, &one.method) != nil || one.method == "" {
		return envelope{}, refuseEnvelope(at + "/method: must be the name of a method")
	}
	_, hasID := members["id"]
	isRequest, isNotification := slices.Contains(mcpMethods, one.method), strings.HasPrefix(one.method, "notifications/")
	switch {
	case one.id == nil && (isRequest || hasID && !isNotification):
		return envelope{}, badID
	case one.id != nil && slices.Contains(mcpNotifications, one.method):
		return envelope{}, refuseEnvelope(at + "/id: a notification has none")
	}
	return one, nil
}

// present returns a member, nil when it is null.
func present(member json.RawMessage) json.RawMessage {
	if string(member) == "null" {
		return nil
	}
	return member
}

// isRequestID reports whether a value is the id of a request: a string or an integer (MCP, base
// protocol), which every client can read exactly.
func isRequestID(id json.RawMessage) bool {
	var value any
	if json.Unmarshal(id, &value) != nil {
		return false
	}
	switch value := value.(type) {
	case string:
		return true
	case float64:
		return value == math.Trunc(value) && math.Abs(value) <= 1<<53
	}
	return false
}
