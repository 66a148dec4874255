package transport

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/seed677028b5/integrations/domain"
)

// envelope is a message of JSON-RPC, as far as it is checked before the SDK reads it.
type envelope struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// checkEnvelopes refuses what no message of MCP may be, in words of the protocol: the SDK would
// answer with another id than it was given, or with the names of its own types. It returns how many
// messages there are.
func checkEnvelopes(data []byte) (messages int, err error) {
	var all []envelope
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		if json.Unmarshal(data, &all) != nil {
			return 0, domain.Errorf(domain.Invalid, "mcp_request_invalid", "the body is not a list of messages of JSON-RPC 2.0")
		}
	} else {
		all = make([]envelope, 1)
		if json.Unmarshal(data, &all[0]) != nil {
			return 0, domain.Errorf(domain.Invalid, "mcp_request_invalid", "the body is not a message of JSON-RPC 2.0")
		}
	}
	for _, one := range all {
		if len(one.ID) > 0 && !isRequestID(one.ID) {
			return 0, domain.Errorf(domain.Invalid, "mcp_request_invalid", "/id: must be a string, or an integer of at most 53 bits")
		}
	}
	return len(all), nil
}

// isRequestID reports whether a value is the id of a request: a string or an integer (MCP, base
// protocol), which every client can read exactly. Null is left to the SDK.
func isRequestID(id json.RawMessage) bool {
	var value any
	if json.Unmarshal(id, &value) != nil {
		return false
	}
	switch value := value.(type) {
	case nil, string:
		return true
	case float64:
		return value == math.Trunc(value) && math.Abs(value) <= 1<<53
	}
	return false
}

// paramKind is what a parameter of a method of MCP must be.
type paramKind string

const (
	aString  paramKind = "a string"
	anObject paramKind = "an object"
	ofTexts  paramKind = "an object of strings"
)

// mcpParams are the parameters of methods that the SDK would refuse in its own words.
var mcpParams = map[string]map[string]paramKind{
	"tools/call":               {"name": aString, "_meta": anObject},
	"prompts/get":              {"name": aString, "arguments": ofTexts, "_meta": anObject},
	"resources/read":           {"uri": aString, "_meta": anObject},
	"tools/list":               {"cursor": aString, "_meta": anObject},
	"prompts/list":             {"cursor": aString, "_meta": anObject},
	"resources/list":           {"cursor": aString, "_meta": anObject},
	"resources/templates/list": {"cursor": aString, "_meta": anObject},
	"completion/complete":      {"ref": anObject, "argument": ofTexts, "_meta": anObject},
	"logging/setLevel":         {"level": aString, "_meta": anObject},
}

// rpcRefusal is a message of JSON-RPC that refuses a request.
type rpcRefusal struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   rpcError        `json:"error"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// badParams returns the refusal of the parameters of one request that are of a wrong type, nil when
// there is none.
func badParams(data []byte) *rpcRefusal {
	var one envelope
	if json.Unmarshal(data, &one) != nil || len(one.ID) == 0 || len(one.Params) == 0 || mcpParams[one.Method] == nil {
		return nil
	}
	wrong := func(pointer string, kind paramKind) *rpcRefusal {
		return &rpcRefusal{"2.0", one.ID, rpcError{Code: jsonrpc.CodeInvalidParams, Message: "/params" + pointer + ": must be " + string(kind)}}
	}
	var given map[string]any
	if json.Unmarshal(one.Params, &given) != nil {
		return wrong("", anObject)
	}
	for name, kind := range mcpParams[one.Method] {
		value := given[name]
		if value == nil {
			continue
		}
		members, isObject := value.(map[string]any)
		_, isString := value.(string)
		if kind == aString && !isString || kind != aString && !isObject {
			return wrong(pointer(name), kind)
		}
		for member, text := range members {
			if _, ok := text.(string); kind == ofTexts && !ok {
				return wrong(pointer(name)+pointer(member), aString)
			}
		}
	}
	return nil
}

// mcpMethods are the requests that the SDK answers or refuses itself.
var mcpMethods = []string{
	"initialize", "ping", "server/discover", "completion/complete", "logging/setLevel", "prompts/get", "prompts/list",
	"resources/list", "resources/read", "resources/subscribe", "resources/templates/list", "resources/unsubscribe",
	"subscriptions/listen", "tools/call", "tools/list",
}

// maxMethod is how many bytes of the name of an unknown method are repeated.
const maxMethod = 64

// unknownMethod returns the refusal of one request with a method that MCP does not have, nil for any
// other message. A notification has no answer.
func unknownMethod(data []byte) *rpcRefusal {
	var one envelope
	if json.Unmarshal(data, &one) != nil || len(one.ID) == 0 || one.Method == "" || strings.HasPrefix(one.Method, "notifications/") || slices.Contains(mcpMethods, one.Method) {
		return nil
	}
	name := one.Method
	if len(name) > maxMethod {
		name = strings.ToValidUTF8(name[:maxMethod], "") + "…"
	}
	return &rpcRefusal{"2.0", one.ID, rpcError{Code: jsonrpc.CodeMethodNotFound, Message: "Method not found: this server has no method " + strconv.Quote(name)}}
}

// statusOfUnknown returns the status of the refusal of an unknown method: versions of MCP from
// 2026-07-28 on want another one than earlier ones.
func statusOfUnknown(version string) int {
	if version >= "2026-07-28" {
		return http.StatusNotFound
	}
	return http.StatusOK
}
