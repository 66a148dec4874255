package domain

import "strings"

// MCPMethod is a request to an MCP server, beside the call of a tool.
type MCPMethod string

// The methods of MCP that are passed on.
const (
	ListResources         MCPMethod = "resources/list"
	ListResourceTemplates MCPMethod = "resources/templates/list"
	ReadResource          MCPMethod = "resources/read"
	ListPrompts           MCPMethod = "prompts/list"
	GetPrompt             MCPMethod = "prompts/get"
	CompleteArgument      MCPMethod = "completion/complete"
)

// Reads reports whether a method reads what is listed: it is an invocation.
func (m MCPMethod) Reads() bool { return m == ReadResource || m == GetPrompt }

// MCPQuery is a request to the MCP server of an integration.
type MCPQuery struct {
	Integration Integration
	Keyring     Keyring
	Subject     string // on whose behalf; empty: the workspace's own
	TraceParent string // W3C trace context; empty: none
	Method      MCPMethod
	Params      Document // of the method; a list has none: all its pages are read
}

// MCPReply is what an MCP server answered.
type MCPReply struct {
	Call      CallResult // how it went, without the answer
	Result    Document   // secrets masked; nil with an error. The items of all pages, for a list
	Truncated bool       // of a list: there are more
	Refusal   int        // the code of JSON-RPC that it was refused with; 0: it was not
}

// Progress is how far a call has come, by the upstream.
type Progress struct {
	Done    float64
	Total   float64 // 0: unknown
	Message string
}

// resourceScheme is the scheme of the URIs under which a workspace offers the resources of its
// MCP servers.
const resourceScheme = "integrations://"

// ResourceURI returns the URI, or the template of one, under which a workspace offers a resource
// of an integration. It has the upstream's as it is at its end.
func ResourceURI(integration, uri string) string {
	return resourceScheme + integration + "/" + uri
}

// SplitResourceURI is the reverse of ResourceURI.
func SplitResourceURI(uri string) (integration, upstream string, ok bool) {
	rest, ours := strings.CutPrefix(uri, resourceScheme)
	if !ours {
		return "", "", false
	}
	integration, upstream, ok = strings.Cut(rest, "/")
	return integration, upstream, ok && integration != "" && upstream != ""
}
