package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
)

// recorder keeps the answers of a session as they were written: the SDK's own types for
// them turn numbers into floats and refuse kinds of content that they don't know.
type recorder struct {
	mu      sync.Mutex
	conn    sdk.Connection
	methods map[jsonrpc.ID]string // by the id of the request, those that wait for an answer
	settled map[jsonrpc.ID]bool   // ids that were answered
	last    *roundTrip            // of the last request
	results map[string]json.RawMessage
	refused error // the error that the last request was answered with
	used    int64 // the highest id of a request
}

func newRecorder() *recorder {
	return &recorder{methods: map[jsonrpc.ID]string{}, settled: map[jsonrpc.ID]bool{}, results: map[string]json.RawMessage{}}
}

func (r *recorder) connection() sdk.Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn
}

// forget drops the last result of a method.
func (r *recorder) forget(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.results, method)
}

func (r *recorder) result(method string) (json.RawMessage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result, ok := r.results[method]
	return result, ok
}

// lastRequest returns the round trip of the last request, and the error that it was
// answered with.
func (r *recorder) lastRequest() (*roundTrip, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.refused
}

// recordingTransport is a transport of the SDK whose messages are recorded.
type recordingTransport struct {
	sdk.Transport
	transport *transport
	recorder  *recorder
	resume    *Agreement
	report    func(params json.RawMessage) // is called with each report of progress
}

// Connect implements mcp.Transport.
func (t recordingTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	conn, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, isProgram := t.Transport.(*program); t.resume.resumes() && (isProgram || t.resume.HasState()) {
		conn = numbered{conn, t.resume.used}
	}
	t.recorder.mu.Lock()
	t.recorder.conn = conn
	t.recorder.mu.Unlock()
	return recordingConnection{conn, t.transport, t.recorder, t.report}, nil
}

// recordingConnection is a connection of the SDK whose messages are recorded.
type recordingConnection struct {
	sdk.Connection
	transport *transport
	recorder  *recorder
	report    func(params json.RawMessage)
}

// Write implements mcp.Connection.
func (c recordingConnection) Write(ctx context.Context, m jsonrpc.Message) error {
	trip := &roundTrip{message: m}
	request, ok := m.(*jsonrpc.Request)
	if ok && request.IsCall() {
		c.recorder.mu.Lock()
		c.recorder.methods[request.ID] = request.Method
		c.recorder.last, c.recorder.refused = trip, nil
		if id, isNumber := request.ID.Raw().(int64); isNumber {
			c.recorder.used = max(c.recorder.used, id)
		}
		c.recorder.mu.Unlock()
	}
	err := c.Connection.Write(context.WithValue(ctx, roundTripKey{}, trip), m)
	if ok && request.Method == initializedMethod && err != nil { // connecting failed by it
		c.recorder.mu.Lock()
		c.recorder.last = trip
		c.recorder.mu.Unlock()
	}
	return err
}

// Read implements mcp.Connection.
func (c recordingConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	answer, ok := m.(*jsonrpc.Response)
	if notice, isNotice := m.(*jsonrpc.Request); isNotice && notice.Method == progressMethod {
		c.report(notice.Params)
	}
	if err != nil || !ok {
		return m, err
	}
	if !c.recorder.identify(answer) {
		return nil, c.transport.stop(callerror.Upstream(
			"The MCP server answered with the id %.40q, which no request has.", fmt.Sprint(answer.ID.Raw())))
	}
	c.record(answer)
	return m, nil
}

// identify reports whether an answer is one to a request. Its id becomes that of the request
// where the server wrote the number as text.
func (r *recorder) identify(answer *jsonrpc.Response) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, waits := r.methods[answer.ID]; waits || r.settled[answer.ID] {
		return true
	}
	for id := range r.methods {
		text, isText := answer.ID.Raw().(string)
		if isText && text == fmt.Sprint(id.Raw()) {
			answer.ID = id
			return true
		}
	}
	return false
}

func (c recordingConnection) record(answer *jsonrpc.Response) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	method, asked := c.recorder.methods[answer.ID]
	if !asked {
		return
	}
	delete(c.recorder.methods, answer.ID)
	c.recorder.settled[answer.ID] = true
	if answer.Error != nil {
		c.recorder.refused = answer.Error
		return
	}
	c.recorder.results[method] = answer.Result
	if method == listMethod {
		answer.Result = forSDK(answer.Result)
	}
	if method != initializeMethod {
		return
	}
	var agreed struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if json.Unmarshal(answer.Result, &agreed) == nil {
		c.transport.setVersion(agreed.ProtocolVersion)
	}
}
