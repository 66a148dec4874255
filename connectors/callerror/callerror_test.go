package callerror_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func TestASentenceIsScrubbedUnlessTheCallerChoseIt(t *testing.T) {
	secrets := scrub.New("s3cr3t-4711")
	require.Equal(t, "It said [secret].", callerror.Upstream("It said %s.", "s3cr3t-4711").Shown(secrets))
	require.Equal(t, "The header s3cr3t-4711 is wrong.", callerror.Misconfigured("The header %s is wrong.", "s3cr3t-4711").Shown(secrets))
}

func TestEveryStatusButASuccessIsAnError(t *testing.T) {
	for status, code := range map[int]domain.ErrorCode{
		401: domain.CallAuthFailed, 403: domain.CallAuthFailed, 301: domain.CallUpstreamError, 404: domain.CallUpstreamError, 500: domain.CallUpstreamError, 799: domain.CallUpstreamError,
	} {
		require.Equal(t, code, callerror.OfStatus(status).Code, status)
	}
	for _, status := range []int{200, 204, 299} {
		require.Nil(t, callerror.OfStatus(status))
	}
}

func TestATimeoutHasTheSentenceOfItsLimit(t *testing.T) {
	limited, cancel := context.WithCancelCause(t.Context())
	cancel(&callerror.Error{Sentence: "The limit was 5 s."})
	require.Equal(t, "The limit was 5 s.", callerror.Timeout(limited).Sentence)
	cancelled, end := context.WithCancel(t.Context())
	end()
	require.Contains(t, callerror.Timeout(cancelled).Sentence, "cancelled")
}

func TestAnAnswerShowsItsRateLimitAndWhereItPointsTo(t *testing.T) {
	from := &url.URL{Scheme: "http", Host: "api.example", Path: "/v1/things"}
	for want, row := range map[string]struct {
		status int
		header http.Header
	}{
		"The upstream answered 403 Forbidden: its rate limit is used up; it takes calls again in 30s.":                                                  {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "Retry-After": {"30"}}},
		"The upstream answered 403 Forbidden: its rate limit is used up.":                                                                               {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1777777777"}}},
		"The upstream answered 403 Forbidden: its rate limit is used up; it takes calls again in 10m0s.":                                                {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1777777777"}, "Date": {"Sun, 03 May 2026 02:59:37 GMT"}}},
		"The upstream answered 429 Too Many Requests: its rate limit is used up; it takes calls again in 1s.":                                           {429, http.Header{"Retry-After-Ms": {"20"}}},
		"The upstream answered 403 Forbidden: check the credentials and what they permit.":                                                              {403, http.Header{"X-Ratelimit-Remaining": {"7"}}},
		"The upstream answered 301 Moved Permanently and points to https://api.example/v1/things: redirects are not followed; configure the final URL.": {301, http.Header{"Location": {"https://user:pass@api.example/v1/things?token=t#f"}}},
		"The upstream answered 302 Found and points to http://api.example/login: redirects are not followed; configure the final URL.":                  {302, http.Header{"Location": {"/login?next=/v1/things"}}},
		"The upstream answered 308 Permanent Redirect: redirects are not followed; configure the final URL.":                                            {308, nil},
		"The upstream answered 304 Not Modified.":                                                                                                       {304, http.Header{"Location": {"/x"}}},
	} {
		require.Equal(t, want, callerror.OfAnswer(row.status, row.header, from).Sentence)
	}
}
