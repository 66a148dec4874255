package mcp

// The methods of MCP that are looked at here.
const (
	initializeMethod = "initialize"
	discoverMethod   = "server/discover"
	listMethod       = "tools/list"
	callMethod       = "tools/call"

	initializedMethod = "notifications/initialized" // has no answer but that of HTTP
	cancelledMethod   = "notifications/cancelled"
	progressMethod    = "notifications/progress"
)

const (
	sessionHeader = "Mcp-Session-Id"

	codeUnsupportedVersion = -32022 // of JSON-RPC, for a version of the protocol

	// firstStateless is the first version of the protocol that has no handshake and no
	// sessions.
	firstStateless = "2026-07-28"
)
