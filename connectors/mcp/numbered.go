package mcp

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// numbered is a connection whose requests continue the ids of an earlier session: an id
// is never used twice in one.
type numbered struct {
	sdk.Connection
	after int64
}

// Write implements mcp.Connection.
func (c numbered) Write(ctx context.Context, m jsonrpc.Message) error {
	request, ok := m.(*jsonrpc.Request)
	if !ok {
		return c.Connection.Write(ctx, m) //nolint:wrapcheck // the error of the SDK
	}
	own := *request
	switch id, isNumber := request.ID.Raw().(int64); {
	case isNumber && request.IsCall():
		own.ID = idOf(id + c.after)
	case request.Method == cancelledMethod:
		own.Params = shifted(request.Params, c.after)
	}
	if trip, ok := ctx.Value(roundTripKey{}).(*roundTrip); ok {
		trip.message = &own
	}
	return c.Connection.Write(ctx, &own) //nolint:wrapcheck // the same
}

// Read implements mcp.Connection.
func (c numbered) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	answer, ok := m.(*jsonrpc.Response)
	if err != nil || !ok {
		return m, err //nolint:wrapcheck // the error of the SDK
	}
	own := *answer
	switch id := answer.ID.Raw().(type) {
	case int64:
		own.ID = idOf(id - c.after)
	case string: // which some servers make of a number
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			own.ID = idOf(n - c.after)
		}
	}
	return &own, nil
}

func idOf(n int64) jsonrpc.ID {
	id, err := jsonrpc.MakeID(float64(n))
	if err != nil {
		return jsonrpc.ID{}
	}
	return id
}

// shifted returns the params of a cancellation whose request has another id on the wire.
func shifted(params json.RawMessage, by int64) json.RawMessage {
	var members map[string]json.RawMessage
	var id int64
	if json.Unmarshal(params, &members) != nil || json.Unmarshal(members["requestId"], &id) != nil {
		return params
	}
	members["requestId"] = json.RawMessage(strconv.FormatInt(id+by, 10))
	written, err := json.Marshal(members)
	if err != nil {
		return params
	}
	return written
}
