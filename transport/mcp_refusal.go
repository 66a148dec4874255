package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

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
	"initialize":               {"protocolVersion": aString, "capabilities": anObject, "clientInfo": anObject, "_meta": anObject},
	"ping":                     {"_meta": anObject},
	"server/discover":          {"_meta": anObject},
	"subscriptions/listen":     {"notifications": anObject, "_meta": anObject},
}

// needParams are the methods that can't be without parameters.
var needParams = []string{"completion/complete", "initialize", "logging/setLevel", "prompts/get", "resources/read", "subscriptions/listen", "tools/call"}

// rpcRefusal is a message of JSON-RPC that refuses a request.
type rpcRefusal struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   *jsonrpc.Error  `json:"error"`
}

// refusal returns why a request is refused before the SDK reads it, nil when it is not.
func (e envelope) refusal() *jsonrpc.Error {
	switch {
	case e.id == nil || e.method == "":
		return nil
	case !slices.Contains(mcpMethods, e.method):
		return unknownMethod(e.method)
	case e.params == nil && !slices.Contains(needParams, e.method):
		return nil
	}
	return badParams(e.params, mcpParams[e.method])
}

// badParams returns the refusal of parameters that are of a wrong type, nil when there is none.
func badParams(params json.RawMessage, kinds map[string]paramKind) *jsonrpc.Error {
	wrong := func(pointer string, kind paramKind) *jsonrpc.Error {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "/params" + pointer + ": must be " + string(kind)}
	}
	var given map[string]any
	if json.Unmarshal(params, &given) != nil {
		return wrong("", anObject)
	}
	for name, kind := range kinds {
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
	"resources/list", "resources/read", "resources/templates/list", "subscriptions/listen", "tools/call", "tools/list",
}

// mcpNotifications are those that the SDK knows.
var mcpNotifications = []string{"notifications/cancelled", "notifications/initialized", "notifications/progress", ignoredNotification}

// ignoredNotification is one that the SDK takes and that nothing follows from.
const ignoredNotification = "notifications/roots/list_changed"

// isIgnored reports whether a message is a notification that the SDK would refuse. A notification
// has no answer, so nobody would learn why.
func (e envelope) isIgnored() bool {
	return e.id == nil && e.method != "" && (!slices.Contains(mcpNotifications, e.method) || e.method == "notifications/progress" && e.params == nil)
}

// maxMethod is how many bytes of the name of an unknown method are repeated.
const maxMethod = 64

// unknownMethod returns the refusal of a method that this server does not have.
func unknownMethod(name string) *jsonrpc.Error {
	if len(name) > maxMethod {
		name = strings.ToValidUTF8(name[:maxMethod], "") + "…"
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "Method not found: this server has no method " + strconv.Quote(name)}
}

// withoutRefused returns the body for the SDK. It refuses a whole batch for one message, so a request that is
// refused is one of a method that refuses it, the n-th of refusals with the method refusedMethod(n). So
// it is checked like any other: its headers too.
func withoutRefused(data []byte, all []envelope, isBatch bool) (body []byte, refusals []*jsonrpc.Error, err error) {
	raw, changed := make([]json.RawMessage, len(all)), false
	for n, one := range all {
		raw[n] = one.raw
		var other any
		if refused := one.refusal(); refused != nil {
			other = map[string]any{"jsonrpc": "2.0", "id": one.id, "method": refusedMethod(len(refusals))}
			refusals = append(refusals, refused)
		} else if one.isIgnored() {
			other = map[string]any{"jsonrpc": "2.0", "method": ignoredNotification}
		} else {
			continue
		}
		changed = true
		if raw[n], err = json.Marshal(other); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case !changed:
		return data, nil, nil
	case !isBatch:
		return raw[0], refusals, nil
	}
	body, err = json.Marshal(raw)
	return body, refusals, err
}

func refusedMethod(n int) string { return "refused/" + strconv.Itoa(n) }

// refuseMethods adds the methods to a server that refuse.
func refuseMethods(server *mcp.Server, refusals []*jsonrpc.Error) error {
	for n, refused := range refusals {
		refuse := func(context.Context, *mcp.ServerSession, *refusedParams) (*refusedResult, error) {
			return nil, ownWordsError{refused}
		}
		if err := mcp.AddReceivingCustomMethod(server, refusedMethod(n), refuse); err != nil {
			return err
		}
	}
	return nil
}

// ownWordsError is an error whose code the SDK finds, but not that it is ErrMethodNotFound, whose text
// it would replace.
type ownWordsError struct{ refused *jsonrpc.Error }

// Error implements error.
func (e ownWordsError) Error() string { return e.refused.Message }

// As is for errors.As.
func (e ownWordsError) As(target any) bool {
	wire, ok := target.(**jsonrpc.Error)
	if ok {
		*wire = e.refused
	}
	return ok
}

type (
	refusedParams struct{ mcp.ParamsBase }
	refusedResult struct{ mcp.ResultBase }
)

// firstWithHeaders is the first version of MCP whose requests repeat the method in a header, and
// that wants another status for an unknown method than earlier ones.
const firstWithHeaders = "2026-07-28"

// refuseNow answers one request that is refused, in a version whose headers would not fit another
// method. The SDK too looks at an unknown method before the headers.
func refuseNow(all []envelope, version string) (answer, bool) {
	if len(all) != 1 || version < firstWithHeaders {
		return answer{}, false
	}
	refused := all[0].refusal()
	switch {
	case refused == nil:
		return answer{}, false
	case refused.Code == jsonrpc.CodeMethodNotFound:
		return answer{status: http.StatusNotFound, body: &rpcRefusal{"2.0", all[0].id, refused}}, true
	}
	return answer{status: http.StatusOK, body: &rpcRefusal{"2.0", all[0].id, refused}}, true
}
