package mcp

import sdk "github.com/modelcontextprotocol/go-sdk/mcp"

const (
	progressToken = "call" // of the only call of a session
	maxProgress   = 1000   // reports of one call that are passed on
)

// meta returns the metadata of a call of a tool: the trace that it belongs to, which the
// protocol reserves this name for, and by which token it reports how far it is.
func (s Server) meta() sdk.Meta {
	meta := sdk.Meta{}
	if s.TraceParent != "" {
		meta["traceparent"] = s.TraceParent
	}
	if s.Progress != nil {
		meta["progressToken"] = progressToken
	}
	if len(meta) == 0 {
		return nil
	}
	return meta
}
