package connectors

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// flaky is an upstream that answers with the given statuses, the last one for
// ever, and counts its calls.
func flaky(t *testing.T, retryAfter string, statuses ...int) (base string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	return startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		n := int(calls.Add(1))
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(statuses[min(n, len(statuses))-1])
		_, _ = fmt.Fprintf(w, `"attempt %d"`, n)
	}), calls
}

var usual = domain.RetryConfig{MaxRetries: 2, RetryOnStatus: []int{429, 502, 503, 504}}

// patient returns a registry that waits only as long as Retry-After asks.
func patient(t *testing.T) *Registry {
	t.Helper()
	r := onLoopback(t)
	r.caller.attempts.FirstWait = time.Millisecond
	return r
}

func TestARequestIsSentAgainOnlyWhenThatIsSafe(t *testing.T) {
	key := map[string]string{"Idempotency-Key": "k1"}
	for _, row := range []struct {
		what       string
		method     string
		headers    map[string]string
		retryAfter string
		statuses   []int
		want       []int
	}{
		{"a read is sent again", "GET", nil, "", []int{503, 502, 200}, []int{503, 502, 200}},
		{"as often as Retry-After asks", "GET", nil, "", []int{503}, []int{503, 503, 503}},
		{"a status that isn't listed is final", "GET", nil, "", []int{500, 200}, []int{500}},
		{"so is a refusal", "GET", nil, "", []int{401, 200}, []int{401}},
		{"PUT and DELETE are done twice as once", "PUT", nil, "", []int{502, 200}, []int{502, 200}},
		{"PUT and DELETE are done twice as once", "DELETE", nil, "", []int{504, 200}, []int{504, 200}},
		{"a POST that was perhaps done is not", "POST", nil, "", []int{502, 200}, []int{502}},
		{"a POST that was perhaps done is not", "POST", nil, "", []int{503, 200}, []int{503}},
		{"nor a PATCH", "PATCH", nil, "", []int{504, 200}, []int{504}},
		{"a POST that was refused for its rate is", "POST", nil, "", []int{429, 200}, []int{429, 200}},
		{"a POST that was put off is", "POST", nil, "0", []int{503, 200}, []int{503, 200}},
		{"a 502 with Retry-After is not put off", "POST", nil, "0", []int{502, 200}, []int{502}},
		{"a POST with a key is", "POST", key, "", []int{502, 504, 200}, []int{502, 504, 200}},
		{"a long Retry-After is final", "GET", nil, "11", []int{429, 200}, []int{429}},
		{"so is a far date", "GET", nil, noon.Add(time.Hour).Format(http.TimeFormat), []int{429, 200}, []int{429}},
		{"a date that has come is not", "GET", nil, noon.Format(http.TimeFormat), []int{429, 200}, []int{429, 200}},
	} {
		base, calls := flaky(t, row.retryAfter, row.statuses...)
		result := call(t, patient(t), calling(base, nil, func(e *domain.Endpoint) {
			e.Method, e.Headers, e.Retry = row.method, row.headers, usual
		}))
		var got []int
		for _, a := range result.Attempts {
			got = append(got, a.StatusCode)
			if (a.StatusCode == 200) != (a.Error == "") {
				t.Errorf("%s: an attempt is %+v", row.what, a)
			}
		}
		if !slices.Equal(got, row.want) || int(calls.Load()) != len(row.want) {
			t.Errorf("%s: %s came to %v, want %v", row.what, row.method, got, row.want)
		}
		if last := got[len(got)-1]; result.StatusCode != last || (result.Error == "") != (last == 200) {
			t.Errorf("%s: the result is %+v", row.what, result)
		}
		if want := fmt.Sprintf("attempt %d", len(row.want)); result.RawResponse != want {
			t.Errorf("%s: the answer shown is %v, not the last", row.what, result.RawResponse)
		}
	}
}

func TestAConnectionThatFailedIsTriedAgainForEveryMethod(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PATCH"} {
		result := failsWith(t, patient(t), calling("http://127.0.0.1:1", nil, func(e *domain.Endpoint) { e.Method, e.Retry = method, usual }), domain.CallUnreachable)
		if len(result.Attempts) != 3 {
			t.Errorf("%s was tried %d times", method, len(result.Attempts))
		}
	}
}

func TestAConnectionThatBrokeIsTriedAgainOnlyForWhatMayBeDoneTwice(t *testing.T) {
	for method, want := range map[string]int{"GET": 3, "PUT": 3, "POST": 1, "PATCH": 1} {
		base := speaker(t, func(net.Conn) {})
		result := failsWith(t, patient(t), calling(base, nil, func(e *domain.Endpoint) { e.Method, e.Retry = method, usual }), domain.CallUnreachable)
		if len(result.Attempts) != want {
			t.Errorf("%s was tried %d times, want %d", method, len(result.Attempts), want)
		}
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	base, _ := flaky(t, "1", 429, 200)
	result := succeeds(t, patient(t), calling(base, nil, func(e *domain.Endpoint) { e.Retry = usual }))
	if len(result.Attempts) != 2 || result.Duration < time.Second {
		t.Errorf("the second attempt came after %s", result.Duration)
	}
}

func TestTheTimeoutBoundsRetriesToo(t *testing.T) {
	base, calls := flaky(t, "5", 429)
	result := failsWith(t, patient(t), calling(base, nil, func(e *domain.Endpoint) {
		hurried(t, e)
		e.Retry = usual
	}), domain.CallUpstreamError)
	if calls.Load() != 1 || result.StatusCode != 429 {
		t.Errorf("a wait beyond the limit was begun: %+v", result)
	}
	var slow atomic.Int32
	base = startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if slow.Add(1) > 1 {
			<-r.Context().Done()
		}
		w.WriteHeader(503)
	})
	result = failsWith(t, patient(t), calling(base, nil, func(e *domain.Endpoint) {
		hurried(t, e)
		e.Retry = usual
	}), domain.CallTimeout)
	if len(result.Attempts) != 2 || result.Attempts[0].StatusCode != 503 || !strings.Contains(result.Attempts[1].Error, "300") {
		t.Errorf("got %+v", result.Attempts)
	}
}

func TestTheBodyIsSentWholeEachTime(t *testing.T) {
	bodies := make(chan string, 3)
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		w.WriteHeader(429)
	})
	failsWith(t, patient(t), calling(base, map[string]any{"a": "b"}, func(e *domain.Endpoint) { e.Method, e.Retry = "POST", usual }), domain.CallUpstreamError)
	for n := range 3 {
		if got := <-bodies; got != `{"a":"b"}` {
			t.Errorf("attempt %d sent %s", n+1, got)
		}
	}
}
