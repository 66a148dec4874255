package connectors

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// The methods of MCP whose answers are read here.
const (
	initialize = "initialize"
	toolsList  = "tools/list"
	toolsCall  = "tools/call"

	initialized = "notifications/initialized" // has no answer but that of HTTP
)

// listener is a transport of the SDK whose messages are listened to: the SDK's
// own types for them turn numbers into floats and refuse kinds of content that
// they don't know.
type listener struct {
	sdk.Transport
	wire  *wire
	heard *heard
}

// Connect implements mcp.Transport.
func (l listener) Connect(ctx context.Context) (sdk.Connection, error) {
	conn, err := l.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l.heard.mu.Lock()
	l.heard.conn = conn
	l.heard.mu.Unlock()
	return connection{conn, l.wire, l.heard}, nil
}

// heard is what was heard so far.
type heard struct {
	mu      sync.Mutex
	conn    sdk.Connection
	asked   map[jsonrpc.ID]string // methods, by the id of the request
	last    *trip                 // of the last request
	results map[string]json.RawMessage
	refused error // why the last request was answered with an error
}

// connection is a connection of the SDK that is listened to.
type connection struct {
	sdk.Connection
	wire  *wire
	heard *heard
}

// Write implements mcp.Connection.
func (c connection) Write(ctx context.Context, m jsonrpc.Message) error {
	e := &trip{}
	request, ok := m.(*jsonrpc.Request)
	if ok && request.IsCall() {
		c.heard.mu.Lock()
		c.heard.asked[request.ID] = request.Method
		c.heard.last, c.heard.refused = e, nil
		c.heard.mu.Unlock()
	}
	err := c.Connection.Write(context.WithValue(ctx, tripKey{}, e), m)
	if ok && request.Method == initialized && err != nil { // connecting failed by it
		c.heard.mu.Lock()
		c.heard.last = e
		c.heard.mu.Unlock()
	}
	return err
}

// Read implements mcp.Connection.
func (c connection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	if answer, ok := m.(*jsonrpc.Response); ok && err == nil {
		c.hear(answer)
	}
	return m, err
}

func (c connection) hear(answer *jsonrpc.Response) {
	c.heard.mu.Lock()
	defer c.heard.mu.Unlock()
	method, asked := c.heard.asked[answer.ID]
	if !asked {
		return
	}
	delete(c.heard.asked, answer.ID)
	if answer.Error != nil {
		c.heard.refused = answer.Error
		return
	}
	c.heard.results[method] = answer.Result
	if method != initialize {
		return
	}
	var agreed struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if json.Unmarshal(answer.Result, &agreed) == nil {
		c.wire.mu.Lock()
		c.wire.version = agreed.ProtocolVersion
		c.wire.mu.Unlock()
	}
}
