package connectors

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// defaultTimeout bounds a call whose endpoint has no timeout_ms.
const defaultTimeout = 30 * time.Second

// A protocol makes the calls of one kind of API.
type protocol interface {
	// build returns the request of a call without credentials, and what is wrong with
	// its parameters. They are what is left of those of the call.
	build(ctx context.Context, c domain.Call, auth *domain.Auth, params map[string]any) (*request, []domain.Problem, *callerror.Error)
	// sign judges the destination of a request, then signs it.
	sign(context.Context, *request) *callerror.Error
	// send sends a signed request and returns the answer, also beside an error.
	send(context.Context, *request, domain.Endpoint) (reply, *callerror.Error)
	// verdict returns the error in an answer, whose secrets are masked.
	verdict(got egress.Answer, raw any) *callerror.Error
}

// reply is what sending a request led to.
type reply struct {
	answer   egress.Answer
	attempts []domain.CallAttempt
	problems []domain.Problem // of the parameters, by a schema of the upstream: nothing was called
	tool     []byte           // MCP: the whole result of the tool; nil: it has nothing that the answer lacks
}

// call is Registry.Call for a protocol. A call that was not processed, and that the account has
// changed under, is made once more, for the account as it is then.
func (c *caller) call(ctx context.Context, p protocol, call domain.Call) (domain.CallResult, error) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	ctx, cancel := withTimeout(ctx, call.Endpoint)
	defer cancel()
	result, e, err := c.make(ctx, p, call)
	if e != nil && e.Rebuild {
		earlier := result.Attempts
		result, e, err = c.make(ctx, p, call)
		result.Attempts = slices.Concat(earlier, result.Attempts)
	}
	if err != nil {
		return domain.CallResult{}, err
	}
	result.Duration = time.Since(start)
	if e != nil {
		return failed(result, e), nil
	}
	return result, nil
}

// make makes a call. The sentence of its call error has no secret in it; its error is a refusal
// of the parameters.
func (c *caller) make(ctx context.Context, p protocol, call domain.Call) (domain.CallResult, *callerror.Error, error) {
	i, endpoint := call.Integration, call.Endpoint
	auth := cmp.Or(endpoint.Auth, i.Auth)
	filled, unfilled := forAccount(ctx, call)
	if unfilled != nil {
		shown := domain.CallRequest{Method: endpoint.Method, URL: cmp.Or(endpoint.BaseURL, i.BaseURL) + endpoint.Path} // as it is configured
		return domain.CallResult{Request: shown}, unfilled, nil
	}
	call = filled
	i, endpoint = call.Integration, call.Endpoint
	call.Params = jsonschema.WithoutNulls(endpoint.InputSchema, call.Params)
	problems, e := c.checkParams(ctx, endpoint.InputSchema, call.Params)
	exchange, params, unfit := signin.ExchangeHeaders(auth, call.Params)
	r, more, unbuilt := p.build(ctx, call, auth, params)
	if err := refuseParams(slices.Concat(problems, unfit, more)); err != nil {
		return domain.CallResult{}, nil, err
	}
	if e = cmp.Or(e, unbuilt); e != nil {
		return domain.CallResult{}, e, nil
	}
	r.Integration, r.Auth, r.Keyring, r.Exchange, r.DryRun, r.Retry = i, auth, call.Keyring, exchange, call.DryRun, endpoint.Retry
	r.subject, r.progress = call.Subject, call.Progress
	r.limit, r.invocation = c.upstreams.Limit(i.Workspace, r.Request.URL), call.Invocation
	r.Request.SetTraceParent(call.TraceParent)
	e = p.sign(ctx, r)
	result := domain.CallResult{Request: r.Request.Shown()}
	if e == nil && !call.DryRun {
		var got reply
		if got, e = p.send(ctx, r, endpoint); got.problems != nil {
			return domain.CallResult{}, nil, refuseParams(got.problems)
		}
		result.Attempts = got.attempts
		result.RequestBytes, result.ResponseBytes = len(r.Request.Body), len(got.answer.Body)
		e = show(ctx, &result, got.answer, e, endpoint, p.verdict, r.Request.Scrubber())
		if crowded := showTool(ctx, &result, got.tool, e, endpoint, r.Request.Scrubber()); crowded != nil {
			e = crowded
		}
		if e == nil {
			c.checkOutput(ctx, &result, endpoint)
		}
		result.Recorded = recorded(ctx, p, call, auth, params, result)
	}
	if e != nil {
		e = &callerror.Error{Code: e.Code, Rebuild: e.Rebuild, Sentence: e.Shown(r.Request.Scrubber())}
	}
	return result, e, nil
}

// withTimeout bounds a call by the timeout of its endpoint.
func withTimeout(ctx context.Context, e domain.Endpoint) (context.Context, context.CancelFunc) {
	timeout := defaultTimeout
	if e.TimeoutMS > 0 {
		timeout = time.Duration(e.TimeoutMS) * time.Millisecond
	}
	return context.WithTimeoutCause(ctx, timeout, &callerror.Error{
		Code:     domain.CallTimeout,
		Sentence: fmt.Sprintf("The upstream had not answered when the timeout_ms of %d was over.", timeout.Milliseconds()),
	})
}

// failed returns result with an error.
func failed(result domain.CallResult, e *callerror.Error) domain.CallResult {
	result.Error, result.ErrorCode = e.Sentence, e.Code
	return result
}
