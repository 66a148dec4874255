package connectors

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/upstream"
	"github.com/seed677028b5/integrations/domain"
)

// invoking turns a call into an invocation of a workspace.
func invoking(c domain.Call, w domain.Workspace) domain.Call {
	c.Integration.Workspace, c.Invocation = w, true
	return c
}

func once(e *domain.Endpoint) { e.Retry = domain.RetryConfig{} }

func TestInvocationsPauseWhileAnUpstreamKeepsFailing(t *testing.T) {
	var asked atomic.Int32
	base := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r, c := onLoopback(t), invoking(calling(base, nil, once), "acme")
	for range upstream.MaxFailures {
		failsWith(t, r, c, domain.CallUpstreamError)
	}
	if got := failsWith(t, r, c, domain.CallUnreachable).Error; !strings.Contains(got, "pause") {
		t.Errorf("the refusal is %q", got)
	}
	if n := asked.Load(); n != upstream.MaxFailures {
		t.Errorf("the upstream was asked %d times, want %d", n, upstream.MaxFailures)
	}
	test := c
	test.Invocation = false
	failsWith(t, r, test, domain.CallUpstreamError) // a test shows what is
	if n := r.Pauses(); n != 1 {
		t.Errorf("invocations were paused %d times, want once", n)
	}
	failsWith(t, r, invoking(c, "other"), domain.CallUpstreamError)
	if n := asked.Load(); n != upstream.MaxFailures+2 {
		t.Errorf("the upstream was asked %d times: a test and another workspace are not held back", n)
	}
}

func TestWhatTheCallerDidWrongDoesNotPauseInvocations(t *testing.T) {
	r, c := onLoopback(t), invoking(calling(answers(t, http.StatusBadRequest, `{}`), nil, once), "acme")
	for range 3 * upstream.MaxFailures {
		failsWith(t, r, c, domain.CallUpstreamError)
	}
}

func TestAnUpstreamThatHangsCostsItsOwnCallersOnly(t *testing.T) {
	hang := make(chan struct{})
	var waiting atomic.Int32
	slow := startUpstream(t, func(http.ResponseWriter, *http.Request) { waiting.Add(1); <-hang })
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(release)
	fine := answers(t, 200, `{}`)
	r := onLoopback(t)
	var callers sync.WaitGroup
	for range upstream.MaxConcurrent {
		callers.Go(func() { call(t, r, invoking(calling(slow, nil, once), "acme")) })
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for waiting.Load() < upstream.MaxConcurrent {
		<-poll.C
	}
	if got := failsWith(t, r, invoking(calling(slow, nil, nil), "acme"), domain.CallUnreachable).Error; !strings.Contains(got, "try again") {
		t.Errorf("the refusal is %q", got)
	}
	succeeds(t, r, invoking(calling(fine, nil, once), "acme"))
	release()
	callers.Wait()
	succeeds(t, r, invoking(calling(slow, nil, once), "acme"))
}

func TestTheOperatorLimitsCallsToAnUpstreamAndToAHost(t *testing.T) {
	hang := make(chan struct{})
	waiting := make(chan struct{}, 1)
	slow := startUpstream(t, func(http.ResponseWriter, *http.Request) { waiting <- struct{}{}; <-hang })
	var hosts []string
	allow := true
	r, err := New(Config{AllowLoopback: true, MaxConcurrent: 1, Pace: func(_ context.Context, host string) bool {
		hosts = append(hosts, host)
		return allow
	}})
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	callers.Go(func() { call(t, r, invoking(calling(slow, nil, once), "acme")) })
	<-waiting
	if got := failsWith(t, r, invoking(calling(slow, nil, nil), "acme"), domain.CallUnreachable).Error; !strings.Contains(got, "has 1 calls") {
		t.Errorf("the refusal is %q", got)
	}
	close(hang)
	callers.Wait()
	allow = false
	if got := failsWith(t, r, invoking(calling(slow, nil, nil), "acme"), domain.CallUnreachable).Error; !strings.Contains(got, "operator allows") {
		t.Errorf("the refusal is %q", got)
	}
	if want := []string{"127.0.0.1", "127.0.0.1"}; !slices.Equal(hosts, want) {
		t.Errorf("asked for %v", hosts)
	}
}

// More calls than an upstream may have at once come together: those over the limit
// wait for their turn.
func TestCallsThatComeTogetherWaitForTheirTurn(t *testing.T) {
	base := answers(t, 200, `{}`)
	r := onLoopback(t)
	var callers sync.WaitGroup
	for range 3 * upstream.MaxConcurrent {
		callers.Go(func() { succeeds(t, r, invoking(calling(base, nil, once), "acme")) })
	}
	callers.Wait()
}
