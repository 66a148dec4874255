package callerror_test

import (
	"context"
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
