package transport

import "encoding/json"

// asksForProgress reports whether an MCP request is to be answered in a stream, because its
// sender wants to know how far it is.
func asksForProgress(data []byte) bool {
	var message struct {
		Method string `json:"method"`
		Params struct {
			Meta struct {
				Token any `json:"progressToken"`
			} `json:"_meta"`
		} `json:"params"`
	}
	return json.Unmarshal(data, &message) == nil && message.Method == "tools/call" && message.Params.Meta.Token != nil
}
