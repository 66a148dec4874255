package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/seed677028b5/integrations/domain"
)

// plainErrors holds back an error that the SDK writes as plain text. An error in the form of
// JSON-RPC passes.
type plainErrors struct {
	gin.ResponseWriter
	extend func() // sets the deadline of a write
	status int    // of an error that was held back
	text   []byte
}

// WriteHeader implements http.ResponseWriter.
func (p *plainErrors) WriteHeader(status int) {
	if status >= http.StatusBadRequest && !strings.HasPrefix(p.Header().Get("Content-Type"), "application/") {
		p.status = status
		return
	}
	p.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (p *plainErrors) Write(data []byte) (int, error) {
	if p.status == 0 {
		p.extend()
		return p.ResponseWriter.Write(data)
	}
	const most = 512
	p.text = append(p.text, data[:min(len(data), most-len(p.text))]...)
	return len(data), nil
}

// mcpError is refuse for JSON-RPC.
func (s *Server) mcpError(ctx context.Context, r *mcpRequest, err error) error {
	refusal, ok := errors.AsType[*domain.Error](err)
	if ok {
		s.recordRefusal(r.request, r.method, refusal)
	}
	switch {
	case !ok || refusal.Kind == domain.Internal:
		s.Log.ErrorContext(ctx, "MCP request failed", slog.Any("err", err))
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error; see the server log"}
	case refusal.Kind == domain.Unavailable:
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: refusal.Message}
	}
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: refusal.Error()}
}
