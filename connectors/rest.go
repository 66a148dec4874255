package connectors

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// defaultTimeout bounds a call whose endpoint says nothing.
const defaultTimeout = 30 * time.Second

// rest calls HTTP APIs.
type rest struct {
	way   *outbound
	media string // the type of JSON that is spoken
	// more says more about an answer than its status does, nil when there is
	// nothing more to say. Secrets are gone from raw already.
	more func(status int, raw any) *fault
}

// plainJSON is the media type of an API that says nothing else.
const plainJSON = "application/json"

func newREST(way *outbound) rest {
	return rest{way: way, media: plainJSON, more: func(status int, _ any) *fault { return refusal(status) }}
}

func (c rest) call(ctx context.Context, call domain.Call) (domain.CallResult, error) {
	start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
	i, e := call.Integration, call.Endpoint
	auth := e.Auth
	if auth == nil {
		auth = i.Auth
	}
	problems, f := c.way.checkParams(ctx, e, call.Params)
	exchange, params, unfit := exchangeHeaders(auth, call.Params)
	out, more, unbuilt := build(cmp.Or(e.BaseURL, i.BaseURL), auth, e, params, c.way.agent, c.media)
	if err := refuseParams(slices.Concat(problems, unfit, more)); err != nil {
		return domain.CallResult{}, err
	}
	if f = cmp.Or(f, unbuilt); f != nil {
		return failed(domain.CallResult{Duration: time.Since(start)}, f), nil
	}
	ctx, cancel := limited(ctx, e)
	defer cancel()
	out.dry, out.exchange = call.DryRun, exchange
	out.to, out.invocation = c.way.upstreams.of(i.Workspace, out.url), call.Invocation
	f = c.way.ready(ctx, i, auth, call.Keyring, out)
	result := domain.CallResult{Request: out.shown()}
	if f == nil && !call.DryRun {
		var got answer
		got, result.Attempts, f = c.way.send(ctx, out, e.Retry)
		f = c.show(ctx, &result, got, f, e, scrub.New(out.secrets...))
	}
	result.Duration = time.Since(start)
	if f != nil {
		f.sentence = f.shown(scrub.New(out.secrets...))
		return failed(result, f), nil
	}
	return result, nil
}

// limited bounds a call by the timeout of its endpoint.
func limited(ctx context.Context, e domain.Endpoint) (context.Context, context.CancelFunc) {
	timeout := defaultTimeout
	if e.TimeoutMS > 0 {
		timeout = time.Duration(e.TimeoutMS) * time.Millisecond
	}
	return context.WithTimeoutCause(ctx, timeout, &fault{
		code:     domain.CallTimeout,
		sentence: fmt.Sprintf("The upstream had not answered when the timeout_ms of %d was over.", timeout.Milliseconds()),
	})
}

// ready judges where out goes, then signs it: a secret is not opened for a
// destination that will not be called.
func (o *outbound) ready(ctx context.Context, i domain.Integration, a *domain.Auth, open domain.Keyring, out *outgoing) *fault {
	if f := o.judge(out); f != nil {
		return f
	}
	return o.sign(ctx, i, a, open, out)
}

// judge is the fault of a destination that is denied by its name.
func (o *outbound) judge(out *outgoing) *fault {
	if o.door.guard.judgeURL(out.url) != nil {
		return &fault{code: domain.CallBlockedDestination, sentence: blocked, unsent: true}
	}
	return nil
}

// show puts an answer into result and, for a success, runs it through the
// endpoint's pipeline. Secrets go before the pipeline, so that no expression
// can take one apart and carry it past the scrubber. What comes out of it is not
// scrubbed again: it has texts of the caller's choosing, such as literals and
// names, and a mask there would tell that one of them is the secret.
func (c rest) show(ctx context.Context, result *domain.CallResult, got answer, f *fault, e domain.Endpoint, scrubber scrub.Scrubber) *fault {
	result.StatusCode, result.Truncated = got.status, got.truncated
	result.ResponseHeaders = scrubber.Headers(got.headers)
	var isJSON bool
	switch {
	case got.truncated || f != nil && len(got.body) > 0:
		result.RawResponse = jsonvalue.Text([]byte(scrubber.Truncated(string(got.body))))
	default:
		raw, is, crowded := decodeWithin(ctx, got.body, reshape.Configured(e))
		if crowded != nil {
			return crowded
		}
		isJSON, result.RawResponse = is, scrubber.Value(raw)
	}
	switch {
	case f != nil:
		return f
	case c.more(got.status, result.RawResponse) != nil:
		return c.more(got.status, result.RawResponse)
	case got.truncated:
		return tooLarge()
	}
	reshaped, err := reshape.Run(ctx, e, result.RawResponse, isJSON)
	result.AfterFilter, result.AfterMapping, result.FinalResult = reshaped.Filtered, reshaped.Mapped, reshaped.Final
	switch {
	case err != nil && ctx.Err() != nil:
		return &fault{code: domain.CallTimeout, own: true, sentence: "The upstream answered, and the time was over before its answer was shaped."}
	case err != nil:
		return &fault{ // secrets are gone from what is shaped
			code: domain.CallUpstreamError, own: true,
			sentence: "The upstream answered, and its answer could not be shaped: " + err.Error() + ".",
		}
	}
	return nil
}

// failed returns result with what f says.
func failed(result domain.CallResult, f *fault) domain.CallResult {
	result.Error, result.ErrorCode = f.sentence, f.code
	return result
}
