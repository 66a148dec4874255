package mcp

import (
	"net/http"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// MaxQuote limits the characters of a text of the server in a sentence.
const MaxQuote = 1000

// Server is an MCP server, and how it is reached.
type Server struct {
	URL      string                               // its endpoint
	SSE      bool                                 // over the older transport, HTTP with SSE
	Client   http.RoundTripper                    // sends its requests. Errors are of type *callerror.Error
	Header   http.Header                          // set on every request that has no header of that name
	Query    string                               // added to the query of every request, where URL does not have it
	Sign     func(*http.Request) *callerror.Error // signs every request that is sent; nil: none is. It may be called at the same time
	Answered func(status int, header http.Header) // is called with each answer; nil: nothing is
	Scrubber scrub.Scrubber                       // of what the server may echo
	Version  string                               // of this client

	TraceParent string // W3C trace context of the calls of tools; empty: none

	Progress func(domain.Progress) // is called as the server reports it; nil: nobody asks

	Resume *Agreement // what an earlier session agreed on, at the same server; nil: nothing is known

	// Running is the server as a program that an earlier session started, with what that
	// agreed on in Resume. nil: Start starts it.
	Running *Running

	// Start starts the server as a program, which is then reached over its standard
	// input and output. nil: it is reached over HTTP.
	Start func() (*sandbox.Process, *callerror.Error)
}
