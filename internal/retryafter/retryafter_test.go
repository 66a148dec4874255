package retryafter_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/internal/retryafter"
)

func TestSecondsAndDatesAreRead(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, " 7 ": 7 * time.Second, "1.5": 1500 * time.Millisecond, now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got, named := retryafter.Parse(value, now); got != want || !named {
			t.Errorf("%q is read as %s, %t", value, got, named)
		}
	}
	for _, value := range []string{"", "-1", "1.5.5", "soon", "99999999999", "1e3", "."} {
		if got, named := retryafter.Parse(value, now); got != 0 || named {
			t.Errorf("%q is read as %s", value, got)
		}
	}
}

func TestTheWaitOfAnAnswerIsRead(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	unix := strconv.FormatInt(now.Add(20*time.Second).Unix(), 10)
	for name, row := range map[string]struct {
		status int
		header []string // names and values
		want   time.Duration
		named  bool
	}{
		"nothing":                        {429, nil, 0, false},
		"seconds":                        {503, []string{"Retry-After", "7"}, 7 * time.Second, true},
		"milliseconds before seconds":    {429, []string{"retry-after-ms", "250", "Retry-After", "1"}, 250 * time.Millisecond, true},
		"a date":                         {429, []string{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat)}, time.Minute, true},
		"unix seconds":                   {429, []string{"X-RateLimit-Reset", unix}, 20 * time.Second, true},
		"unix milliseconds":              {429, []string{"X-RateLimit-Reset", unix + "500"}, 20500 * time.Millisecond, true},
		"seconds from now":               {429, []string{"X-Rate-Limit-Reset", "30"}, 30 * time.Second, true},
		"seconds from now with fraction": {429, []string{"X-RateLimit-Reset-After", "0.25"}, 250 * time.Millisecond, true},
		"a duration":                     {429, []string{"X-RateLimit-Reset-Requests", "1m1s"}, 61 * time.Second, true},
		"a date of the reset":            {429, []string{"X-RateLimit-Reset", "2026-05-04T12:00:05Z"}, 5 * time.Second, true},
		"a reset in the past":            {429, []string{"X-RateLimit-Reset", "1000000000"}, 0, true},
		"the draft of IETF":              {429, []string{"RateLimit", `"burst";r=10;t=1, "daily";r=0;t=60`}, time.Minute, true},
		"its earlier form":               {429, []string{"RateLimit", "limit=100, remaining=0, reset=50"}, 50 * time.Second, true},
		"its own header":                 {429, []string{"RateLimit-Limit", "10", "RateLimit-Reset", "9"}, 9 * time.Second, true},
		"the limit that is used up":      {429, []string{"X-RateLimit-Remaining-Requests", "9", "X-RateLimit-Reset-Requests", "1s", "X-RateLimit-Remaining-Tokens", "0", "X-RateLimit-Reset-Tokens", "8s"}, 8 * time.Second, true},
		"names in another order":         {429, []string{"anthropic-ratelimit-requests-remaining", "9", "anthropic-ratelimit-requests-reset", "2026-05-04T12:00:01Z", "anthropic-ratelimit-tokens-remaining", "0", "anthropic-ratelimit-tokens-reset", "2026-05-04T12:00:08Z"}, 8 * time.Second, true},
		"a header of gateways":           {403, []string{"X-Retry-After", "3"}, 3 * time.Second, true},
		"a limit beside another failure": {503, []string{"X-RateLimit-Remaining", "40", "X-RateLimit-Reset", "3600"}, 0, false},
		"a 403 of a limit":               {403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", unix}, 20 * time.Second, true},
	} {
		h := http.Header{}
		for n := 0; n < len(row.header); n += 2 {
			h.Set(row.header[n], row.header[n+1])
		}
		if got, named := retryafter.Of(row.status, h, now); got != row.want || named != row.named {
			t.Errorf("%s: read as %s, %t", name, got, named)
		}
	}
}

func TestARateLimitIsKnownFromCredentialsThatAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		header http.Header
		want   bool
	}{
		"429":                      {429, nil, true},
		"403 alone":                {403, nil, false},
		"403 with some left":       {403, http.Header{"X-Ratelimit-Remaining": {"4999"}, "X-Ratelimit-Reset": {"1777777777"}}, false},
		"403 with nothing left":    {403, http.Header{"X-Ratelimit-Remaining": {"0"}}, true},
		"403 that says when":       {403, http.Header{"Retry-After": {"30"}}, true},
		"403 of the draft of IETF": {403, http.Header{"Ratelimit": {`"default";r=0;t=5`}}, true},
		"403 with no requests":     {403, http.Header{"X-Ratelimit-Requests-Remaining": {"0"}}, true},
		"403 of a gateway":         {403, http.Header{"X-Retry-After": {"3"}}, true},
		"401 with nothing left":    {401, http.Header{"X-Ratelimit-Remaining": {"0"}}, false},
	} {
		if got := retryafter.Limited(row.status, row.header); got != row.want {
			t.Errorf("%s: read as %t", name, got)
		}
	}
}
