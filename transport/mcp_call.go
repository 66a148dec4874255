package transport

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// plainCall is a request that calls a tool and asks for nothing else: no progress, no trace, and
// no feature of a protocol version that changes the form of the answer. Most calls are such. The
// SDK decodes parts of a message eleven times, each time with a buffer of 32 KiB, and that garbage
// took more time than the call.
type plainCall struct {
	id        any // a string or a float64
	name      string
	arguments domain.Document
}

// plainVersions are the versions of the protocol in which the result of a tool has the same form,
// and needs no header but the version.
var plainVersions = []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// isJSON reports whether the body of a request is sent as JSON.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// isPlain reports whether the headers of a request are those that every version asks for.
func isPlain(h http.Header) bool {
	if !slices.Contains(plainVersions, h.Get("Mcp-Protocol-Version")) || len(h.Values("Last-Event-Id")) > 0 {
		return false
	}
	if !isJSON(h) {
		return false
	}
	var inJSON, inStream bool
	for _, value := range h.Values("Accept") {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			inJSON, inStream = inJSON || one == "application/json", inStream || one == "text/event-stream"
		}
	}
	return inJSON && inStream
}

// readPlainCall returns the call in a message. Anything else is left to the SDK, and so is every
// message that is refused.
func readPlainCall(data []byte) (c plainCall, ok bool) {
	message, err := decode(data)
	if err != nil || len(message) != 4 || message["jsonrpc"] != "2.0" || message["method"] != "tools/call" {
		return plainCall{}, false
	}
	switch id := message["id"].(type) {
	case string:
		c.id = id
	case json.Number:
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil || n > 1<<53 || n < -1<<53 {
			return plainCall{}, false
		}
		c.id = float64(n)
	default:
		return plainCall{}, false
	}
	params, ok := message["params"].(map[string]any)
	if !ok {
		return plainCall{}, false
	}
	c.arguments = domain.Document{}
	for name, value := range params {
		switch {
		case name == "name":
			c.name, ok = value.(string)
		case name == "arguments" && value != nil:
			c.arguments, ok = value.(map[string]any)
		case name != "arguments":
			ok = false
		}
		if !ok {
			return plainCall{}, false
		}
	}
	return c, c.name != ""
}
