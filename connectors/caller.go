package connectors

import (
	"cmp"
	"context"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/program"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// firstWait is the wait before the first retry, give or take half.
const firstWait = 200 * time.Millisecond

// caller is what all connectors of a Registry share.
type caller struct {
	client    *egress.Client
	auth      *signin.Authenticator
	upstreams *upstream.Registry
	attempts  upstream.Attempts
	schemas   *jsonschema.Cache
	now       func() time.Time
}

// request is a request that is signed, or about to be.
type request struct {
	signin.Call
	credential *signin.Credential // once it is signed
	program    *program.Program   // what is started instead of sending; nil: nothing
	params     map[string]any     // what is left of the parameters of a call
	subject    string             // on whose behalf it is

	progress func(domain.Progress) // is called as an MCP server reports it; nil: nobody asks

	limit      *upstream.Limit // of calls; nil: it doesn't count
	invocation bool            // it may be refused while the upstream keeps failing
}

// judge returns the error of a destination that is denied by its name. A program of a
// profile is at no address.
func (c *caller) judge(r *request) *callerror.Error {
	if r.program != nil {
		return nil
	}
	return c.client.Judge(r.Request.URL)
}

// authenticate signs r, which was judged: a secret is not opened for a destination that
// will not be called.
func (c *caller) authenticate(ctx context.Context, r *request) (e *callerror.Error) {
	if e = signin.SetSecretHeaders(ctx, &r.Call); e != nil {
		return e
	}
	r.credential, e = c.auth.Authenticate(ctx, r.Call)
	return e
}

// do sends r until an answer is not worth another attempt by retry, and returns the last
// answer and all attempts.
func (c *caller) do(ctx context.Context, r *request, retry domain.RetryConfig) (egress.Answer, []domain.CallAttempt, *callerror.Error) {
	var got egress.Answer
	attempts, e := c.attempts.Run(ctx, r.credential, retry, func() upstream.Outcome {
		got = egress.Answer{}
		e := r.limit.Do(ctx, r.invocation, func() (_ int, e *callerror.Error) {
			got, e = c.client.Do(ctx, r.Request)
			return got.Status, e
		})
		o := upstream.Outcome{Status: got.Status, Header: got.Header, Err: e}
		if shown := cmp.Or(e, got.Error()); shown != nil {
			o.Shown = shown.Shown(r.Request.Scrubber())
		}
		return o
	}, upstream.MayRepeat(r.Request.Method, r.Request.Header, retry))
	return got, attempts, e
}
