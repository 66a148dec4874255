package mcp

import sdk "github.com/modelcontextprotocol/go-sdk/mcp"

// meta returns the metadata of a call of a tool: the trace that it belongs to, which the
// protocol reserves this name for.
func (s Server) meta() sdk.Meta {
	if s.TraceParent == "" {
		return nil
	}
	return sdk.Meta{"traceparent": s.TraceParent}
}
