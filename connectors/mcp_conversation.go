package connectors

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// A talk is what a call asks of a server in a session, once that is open.
type talk func(*mcp.Session) (reply, *callerror.Error)

// converse opens a session, or resumes one, and has a talk in it: again with a fresh token
// when the server refuses the one it got after the session was open. What is answered with 401
// was not done, not even the call of a tool.
func (m mcpConnector) converse(ctx context.Context, r *request, endpoint domain.Endpoint, do talk) (reply, *callerror.Error) {
	var got reply
	e := r.limit.Do(ctx, r.invocation, func() (int, *callerror.Error) {
		_, e := m.attempts.Run(ctx, r.credential, domain.RetryConfig{}, func() upstream.Outcome {
			earlier := got.attempts
			var e *callerror.Error
			got, e = m.resume(ctx, r, endpoint, do)
			got.attempts = append(earlier, got.attempts...)
			if e == nil || e.Code != domain.CallAuthFailed {
				return upstream.Outcome{Err: e}
			}
			return upstream.Outcome{Status: got.answer.Status, Err: e}
		}, upstream.Once)
		return got.answer.Status, e
	})
	return got, e
}

// resume resumes what is kept, and begins anew where the server no longer knows that: nothing
// was done then.
func (m mcpConnector) resume(ctx context.Context, r *request, endpoint domain.Endpoint, do talk) (reply, *callerror.Error) {
	key := keptKey(r, endpoint, r.subject)
	var kept keptSession
	if r.Integration.MCPSession != domain.SessionPerCall {
		kept = m.kept.take(key, deadlineOf(ctx))
	}
	got, lost, e := m.once(ctx, r, endpoint, do, key, kept)
	if !lost {
		return got, e
	}
	m.kept.forget(key)
	again, _, e := m.once(ctx, r, endpoint, do, key, keptSession{})
	again.attempts = append(got.attempts, again.attempts...)
	return again, e
}

// deadlineOf returns when ctx ends; every call has a timeout.
func deadlineOf(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

// once connects, or resumes what is kept, and talks, once. It reports whether what was resumed is
// of no use: the server no longer knew it, or nothing reached the server.
func (m mcpConnector) once(ctx context.Context, r *request, endpoint domain.Endpoint, do talk, key string, kept keptSession) (got reply, lost bool, e *callerror.Error) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	s, attempts, e := m.connect(ctx, r, endpoint.Retry, kept)
	if e != nil {
		return reply{answer: answerOf(s, nil), attempts: attempts}, false, e
	}
	defer s.Close()
	got, e = do(s)
	if e == nil || e.Code == domain.CallToolError {
		m.leave(s, r, key, kept)
	}
	if got.problems != nil {
		return got, false, nil
	}
	a := domain.CallAttempt{StatusCode: s.Last().Status, Duration: time.Since(start)}
	for _, earlier := range attempts {
		a.Duration -= earlier.Duration
	}
	if e != nil {
		a.Error = e.Shown(r.Request.Scrubber())
	}
	got.answer, got.attempts = answerOf(s, got.answer.Body), append(attempts, a)
	return got, e != nil && kept.agreement != nil && (s.Lost() || e.Unsent || mayRepeat(s.Last(), endpoint.Retry)), e
}

// mayRepeat reports whether a server refused for now, before it did anything, what retry allows
// to be tried again.
func mayRepeat(last mcp.Response, retry domain.RetryConfig) bool {
	return retry.MaxRetries > 0 && slices.Contains(retry.RetryOnStatus, last.Status) &&
		(last.Status == http.StatusTooManyRequests || last.Status == http.StatusServiceUnavailable && last.Header.Get("Retry-After") != "")
}

// connect opens a session. Nothing was called by then, so retry decides how often that is
// tried. It returns the attempts that failed. What is kept is resumed, which sends nothing.
func (m mcpConnector) connect(ctx context.Context, r *request, retry domain.RetryConfig, kept keptSession) (*mcp.Session, []domain.CallAttempt, *callerror.Error) {
	var s *mcp.Session
	attempts, e := m.attempts.Run(ctx, r.credential, retry, func() upstream.Outcome {
		var e *callerror.Error
		server := m.server(ctx, r)
		server.Resume, server.Running = kept.agreement, kept.running
		if s, e = mcp.Connect(ctx, server); e == nil {
			return upstream.Outcome{}
		}
		last := s.Last()
		return upstream.Outcome{Status: last.Status, Header: last.Header, Err: e, Shown: e.Shown(server.Scrubber)}
	}, func(o upstream.Outcome, _ bool) bool {
		return o.Err != nil && (o.Err.Code == domain.CallUnreachable || slices.Contains(retry.RetryOnStatus, o.Status))
	})
	if e == nil {
		attempts = attempts[:len(attempts)-1]
	}
	return s, attempts, e
}

// leave keeps what a session leaves for later ones. Its last request was answered.
func (m mcpConnector) leave(s *mcp.Session, r *request, key string, resumed keptSession) {
	left := keptSession{agreement: s.Agreement(), running: s.Running(), server: m.server(context.Background(), r), endsAt: resumed.endsAt}.of(r.Integration)
	switch {
	case left.agreement == nil, left.running == nil && resumed.agreement != nil && !left.agreement.HasState():
		return // there is nothing to keep, or it is kept already
	case left.running != nil && left.endsAt.IsZero():
		left.endsAt = m.now().Add(r.program.Command.Limits.Wall)
	}
	if left.running != nil || left.agreement.HasState() {
		s.Keep()
		s.Close()
	}
	m.kept.put(key, r.Integration, left)
}
