package upstream_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// once can be renewed one time.
type once struct {
	left  int
	fails *callerror.Error
}

func (o *once) Renew(_ context.Context, status int) (bool, *callerror.Error) {
	if status != http.StatusUnauthorized || o.left == 0 {
		return false, nil
	}
	o.left--
	return o.fails == nil, o.fails
}

func TestAttemptsEndWithTheFirstOutcomeThatIsNotWorthAnother(t *testing.T) {
	retry := domain.RetryConfig{MaxRetries: 2, RetryOnStatus: []int{429, 503}}
	for name, row := range map[string]struct {
		method     string
		retryAfter string // or another header: its name, a colon and its value
		statuses   []int  // the last one for all later attempts
		want       []int
		wait       time.Duration // at least
	}{
		"a success":                                    {"GET", "", []int{200}, []int{200}, 0},
		"a success after a retry":                      {"GET", "", []int{503, 200}, []int{503, 200}, 500 * time.Millisecond},
		"no more than MaxRetries":                      {"GET", "", []int{503}, []int{503, 503, 503}, 1500 * time.Millisecond},
		"another status":                               {"GET", "", []int{500}, []int{500}, 0},
		"what may have been done":                      {"POST", "", []int{503}, []int{503}, 0},
		"what was not processed, as Retry-After shows": {"POST", "3", []int{503, 200}, []int{503, 200}, 3 * time.Second},
		"a wait that is too long":                      {"GET", "11", []int{503}, []int{503}, 0},
		"a wait of a second and a half":                {"GET", "1.5", []int{503, 200}, []int{503, 200}, 1500 * time.Millisecond},
		"a reset of a rate limit":                      {"POST", "X-RateLimit-Reset:4", []int{429, 200}, []int{429, 200}, 4 * time.Second},
		"a reset that is too far":                      {"POST", "RateLimit-Reset:3600", []int{429}, []int{429}, 0},
		"a 403 of a rate limit":                        {"POST", "X-RateLimit-Remaining:0", []int{403, 200}, []int{403, 200}, 0},
		"a 403 with something left":                    {"GET", "X-RateLimit-Remaining:7", []int{403}, []int{403}, 0},
		"a 401 that is renewed does not count":         {"POST", "", []int{401, 503, 200}, []int{401, 503}, 0},
		"a 401 is renewed once":                        {"GET", "", []int{401}, []int{401, 401}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, start, n := upstream.Attempts{FirstWait: time.Second, Now: time.Now}, time.Now(), 0
				attempts, e := a.Run(t.Context(), &once{left: 1}, retry, func() upstream.Outcome {
					status := row.statuses[min(n, len(row.statuses)-1)]
					n++
					h := http.Header{}
					if name, value, other := strings.Cut(row.retryAfter, ":"); other {
						h.Set(name, value)
					} else {
						h.Set("Retry-After", value+name)
					}
					return upstream.Outcome{Status: status, Header: h}
				}, upstream.MayRepeat(row.method, http.Header{}, retry))
				require.Nil(t, e)
				var got []int
				for _, attempt := range attempts {
					got = append(got, attempt.StatusCode)
				}
				require.Equal(t, row.want, got)
				waited := time.Since(start)
				require.GreaterOrEqual(t, waited, row.wait)
				require.LessOrEqual(t, waited, 10*time.Second)
			})
		})
	}
}

func TestARenewalThatFailsEndsTheAttempts(t *testing.T) {
	refused := &callerror.Error{Code: domain.CallAuthFailed}
	attempts, e := upstream.Attempts{Now: time.Now}.Run(t.Context(), &once{1, refused}, domain.RetryConfig{MaxRetries: 3, RetryOnStatus: []int{401}},
		func() upstream.Outcome { return upstream.Outcome{Status: 401} }, func(upstream.Outcome, bool) bool { return true })
	require.Equal(t, refused, e)
	require.Len(t, attempts, 1)
}

func TestNoAttemptWaitsBeyondItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		attempts, e := upstream.Attempts{FirstWait: time.Minute, Now: time.Now}.Run(ctx, &once{}, domain.RetryConfig{MaxRetries: 3},
			func() upstream.Outcome {
				return upstream.Outcome{Err: &callerror.Error{Code: domain.CallUnreachable}}
			}, func(upstream.Outcome, bool) bool { return true })
		require.Equal(t, domain.CallUnreachable, e.Code, "the error at hand")
		require.Len(t, attempts, 1)
		require.Zero(t, time.Since(start))
	})
}
