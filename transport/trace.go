package transport

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
)

// newTraceParent begins a trace, for a request that belongs to none (W3C Trace Context, 3.2).
// It is not sampled: nothing here reports it.
func newTraceParent() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails
	return "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-00"
}

// inTraceOf returns r in the trace that the params of a call name (MCP, _meta.traceparent),
// if they do, else in that of the HTTP request.
func (r *mcpRequest) inTraceOf(meta mcp.Meta) *mcpRequest {
	named, _ := meta["traceparent"].(string)
	if named = domain.ParseTraceParent(named); named == "" {
		return r
	}
	traced := *r.request
	traced.caller.TraceParent = named
	return &mcpRequest{&traced, r.view}
}
