package upstream

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/retryafter"
)

const (
	maxWait       = 5 * time.Second  // between retries, when the upstream names none
	maxRetryAfter = 10 * time.Second // the longest wait that an upstream may name
)

// Attempts makes attempts at one upstream. An attempt may be one HTTP request or a
// session of several.
type Attempts struct {
	FirstWait time.Duration    // before the first retry, give or take half. Later waits double
	Now       func() time.Time // the clock for dates of an upstream
}

// Outcome is how an attempt ended.
type Outcome struct {
	Status int // of HTTP, 0 where there was none
	Header http.Header
	Err    *callerror.Error // nil where the upstream answered, whatever the status
	Shown  string           // the error for the list of attempts, without secrets; "" for none
}

// A Credential replaces what an upstream refused.
type Credential interface {
	// Renew replaces the credential when status shows that it was refused. It
	// reports whether the attempt should be made again, and the error that prevents it.
	Renew(ctx context.Context, status int) (bool, *callerror.Error)
}

// Run makes attempts until one ends with an outcome that is not worth another, retry
// allows no more, or ctx ends. An attempt that was refused with 401 was not
// processed, so it is made again once the credential is renewed, and does not
// count. Again decides whether an outcome may be attempted again by retry; named is
// whether the upstream named a time. Run returns all attempts, and the error of the last
// one or of the renewal.
func (a Attempts) Run(ctx context.Context, c Credential, retry domain.RetryConfig, attempt func() Outcome, again func(o Outcome, named bool) bool) ([]domain.CallAttempt, *callerror.Error) {
	waits := &backoff.ExponentialBackOff{InitialInterval: a.FirstWait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxWait}
	waits.Reset()
	var attempts []domain.CallAttempt
	for tries := 1; ; tries++ {
		start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
		o := attempt()
		attempts = append(attempts, domain.CallAttempt{StatusCode: o.Status, Duration: time.Since(start), Error: o.Shown})
		if renewed, e := c.Renew(ctx, o.Status); e != nil {
			return attempts, e
		} else if renewed {
			tries--
			continue
		}
		wait, named := retryafter.Of(o.Status, o.Header, a.Now())
		if tries > retry.MaxRetries || !again(o, named) || wait > maxRetryAfter || !sleep(ctx, max(wait, waits.NextBackOff())) {
			return attempts, o.Err
		}
	}
}

// Once is the decision of Run for what is never retried.
func Once(Outcome, bool) bool { return false }

// MayRepeat returns the decision of Run for one HTTP request. What was surely not
// processed may be sent again; what perhaps was, only when doing it twice is doing it
// once: by its method, or by a key that the upstream knows it by.
func MayRepeat(method string, header http.Header, retry domain.RetryConfig) func(Outcome, bool) bool {
	harmless := method != http.MethodPost && method != http.MethodPatch || header.Get("Idempotency-Key") != ""
	return func(o Outcome, named bool) bool {
		if o.Err != nil {
			return o.Err.Code == domain.CallUnreachable && !o.Err.Final && (o.Err.Unsent || harmless)
		}
		status := o.Status
		if retryafter.Limited(status, o.Header) { // some answer 403
			status = http.StatusTooManyRequests
		}
		if !slices.Contains(retry.RetryOnStatus, status) && !slices.Contains(retry.RetryOnStatus, o.Status) {
			return false
		}
		return harmless || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && named
	}
}

// sleep waits, and reports false when ctx ends first or surely will: then the answer
// at hand is worth more than the wait.
func sleep(ctx context.Context, wait time.Duration) bool {
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
