package transport

import (
	"context"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/seed677028b5/integrations/domain"
)

// askedBy is the context key of the mcpRequest behind an MCP request.
type askedBy struct{}

// mcpRequest is an API request that carries an MCP request, and the tools that it is for.
type mcpRequest struct {
	*request
	view   mcpView
	method string // of JSON-RPC

	end       context.CancelFunc // ends the request
	listening *sync.WaitGroup    // what must end before the request does
	refusals  []*jsonrpc.Error   // of messages of its body, see withoutRefused
}

// mcpView is what a client of MCP gets to see of a workspace, by the URL that it uses.
type mcpView struct {
	own          bool          // of one integration: with the names and URIs of the upstream
	search       bool          // two tools, which find and call the others
	integrations []string      // by id or name; nil: all
	tools        []domain.Tool // of these integrations
}

// storedTool returns the integration and the endpoint that the name of a tool stands for, where
// the name has them, and both are stored: then nothing has to be read to find them.
func (r *mcpRequest) storedTool(name string) (domain.ID, string, bool) {
	if r.view.own || r.view.search || r.view.integrations != nil {
		return "", "", false
	}
	integration, endpoint, ok := domain.SplitToolName(name)
	id := domain.ParseID(r.workspace, integration)
	return id, endpoint, ok && !domain.IsBuiltin(r.workspace, id)
}

// of returns the MCP request with a method that an API request carries.
func (r *mcpRequest) of(carrier *request, method string) *mcpRequest {
	return &mcpRequest{request: carrier, view: r.view, method: method, end: r.end, listening: r.listening}
}

func asker(ctx context.Context) (*mcpRequest, error) {
	r, ok := ctx.Value(askedBy{}).(*mcpRequest)
	if !ok {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the request has no caller"}
	}
	return r, nil
}
