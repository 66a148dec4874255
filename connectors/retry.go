package connectors

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed677028b5/integrations/domain"
)

const (
	firstWait    = 200 * time.Millisecond // before the first retry, give or take half
	longestWait  = 5 * time.Second        // between retries, when the upstream names none
	longestAsked = 10 * time.Second       // the longest Retry-After that is obeyed
)

// send sends out, again where the endpoint's retry_config and the method allow
// it, until ctx is done. It returns the last answer or fault, and every
// attempt.
func (o *outbound) send(ctx context.Context, out *outgoing, retry domain.RetryConfig) (answer, []domain.CallAttempt, *fault) {
	waits := &backoff.ExponentialBackOff{
		InitialInterval: o.firstWait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: longestWait,
	}
	waits.Reset()
	var attempts []domain.CallAttempt
	tries := 0 // attempts, but for one that a fresh token was worth
	for {
		tries++
		start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
		got, f := o.attempt(ctx, out)
		attempt := domain.CallAttempt{StatusCode: got.status, Duration: time.Since(start)}
		told := f
		if told == nil {
			told = refusal(got.status)
		}
		if told != nil {
			attempt.Error = told.sentence
		}
		attempts = append(attempts, attempt)
		if again, unrenewed := out.renewed(ctx, got.status); again {
			if unrenewed != nil {
				return got, attempts, unrenewed
			}
			tries--
			continue
		}
		asked, named := o.askedFor(got.headers)
		if tries > retry.MaxRetries || !again(out, retry, got.status, f, named) || asked > longestAsked {
			return got, attempts, f
		}
		if wait := max(asked, waits.NextBackOff()); !pause(ctx, wait) {
			return got, attempts, f
		}
	}
}

// once sends out one time and reads the answer.
func (o *outbound) once(ctx context.Context, out *outgoing) (answer, *fault) {
	var seen progress
	r, f := out.request(seen.watch(ctx))
	if f != nil {
		return answer{}, f
	}
	resp, err := o.door.RoundTrip(r)
	if err != nil {
		return answer{}, seen.explain(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := answer{status: resp.StatusCode, headers: resp.Header}
	got.body, got.truncated, f = readBody(ctx, resp, cmp.Or(out.most, maxBody))
	return got, f
}

// again reports whether a request that came to this may be sent again. What
// was surely not processed may; what perhaps was, only when doing it twice is
// doing it once: by its method, or by a key the upstream knows it by.
func again(out *outgoing, retry domain.RetryConfig, status int, f *fault, namedWait bool) bool {
	harmless := out.method != http.MethodPost && out.method != http.MethodPatch || out.header.Get("Idempotency-Key") != ""
	if f != nil {
		return f.code == domain.CallUnreachable && !f.final && (f.unsent || harmless)
	}
	if !slices.Contains(retry.RetryOnStatus, status) {
		return false
	}
	return harmless || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && namedWait
}

// askedFor returns how long the upstream asks to be left alone, in either form
// of Retry-After (RFC 9110, 10.2.3), and whether it does.
func (o *outbound) askedFor(h http.Header) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(o.now())), true
	}
	return 0, false
}

// pause waits, and reports false when ctx ends first or surely will: then the
// answer at hand is worth more than the wait.
func pause(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
