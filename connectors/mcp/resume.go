package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// Keep makes what the server holds for the session outlive Close, so that a later session can
// resume it. It is called once the last request was answered.
func (s *Session) Keep() {
	s.transport.mu.Lock()
	s.transport.kept = true
	s.transport.mu.Unlock()
	if s.program != nil {
		_ = s.recorder.connection().Close() // before another session uses the program
	}
}

// Agreement returns what the session agreed on, nil where nothing was.
func (s *Session) Agreement() *Agreement {
	a := s.recorder.agreement()
	if a == nil {
		return nil
	}
	if a.session = s.client.ID(); s.server.Resume.resumes() {
		a.session = s.server.Resume.session
		a.used += s.server.Resume.used
	}
	return a
}

// Running returns the program of the session, nil where there is none.
func (s *Session) Running() *Running { return s.program.process() }

// Lost reports whether a request of a resumed session was refused because the server no
// longer knows what was agreed on: it was restarted, or replaced by another version. Nothing
// was done then.
func (s *Session) Lost() bool {
	if !s.server.Resume.resumes() || s.program != nil {
		return false
	}
	_, refused := s.recorder.lastRequest()
	if answer := rpcError(refused); answer != nil {
		switch answer.Code {
		case jsonrpc.CodeMethodNotFound, jsonrpc.CodeInvalidRequest, codeUnsupportedVersion:
			return true
		}
	}
	switch s.lastRoundTrip().status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return false
}

// End ends the session that the server opened, if it did.
func (a *Agreement) End(ctx context.Context, server Server) {
	if a.session == "" || server.URL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	t := newTransport(ctx, server)
	defer t.cut()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, server.URL, nil)
	if err != nil {
		return
	}
	r.Header.Set(sessionHeader, a.session)
	r.Header.Set(versionHeader, a.version)
	if resp, err := t.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
	}
}

// agreement returns what was agreed on, nil where nothing was.
func (r *recorder) agreement() *Agreement {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, method := range []string{initializeMethod, discoverMethod} {
		result, ok := r.results[method]
		if !ok {
			continue
		}
		var agreed struct {
			ProtocolVersion string `json:"protocolVersion"`
		}
		_ = json.Unmarshal(result, &agreed) // discover has none
		return &Agreement{method: method, result: slices.Clone(result), version: agreed.ProtocolVersion, used: r.used}
	}
	return nil
}
