package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A call that waited when the service was killed is decided about and made afterwards. One
// that the upstream had at that moment is not sent again: its outcome is unknown.
func TestAKilledServiceSendsNoApprovedCallTwice(t *testing.T) {
	slow(t)
	var got atomic.Int32
	held := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path { // it is probed too
		case "/hold":
			got.Add(1)
			<-held
		case "/book":
			got.Add(1)
		}
	}))
	defer upstream.Close()
	defer close(held)
	data := t.TempDir()
	p := startProcess(t, data)
	operator := p.key
	p.must(201, "POST", all, fmt.Sprintf(`{"name": "clinic", "display_name": "Clinic", "base_url": %q, "endpoints": [
		{"name": "hold", "description": "d", "path": "/hold", "approval": "always"}, {"name": "book", "description": "d", "path": "/book", "approval": "always"}]}`, upstream.URL))
	var made struct{ Key string }
	require.NoError(t, json.Unmarshal([]byte(p.must(201, "POST", "/v1/acme/api-keys", `{"name": "agent", "permissions": ["Integration.invoke"]}`)), &made))
	ask := func(endpoint string, want int) (id string) {
		p.key = made.Key
		defer func() { p.key = operator }()
		var answer struct{ Approval struct{ ID string } }
		require.NoError(t, json.Unmarshal([]byte(p.must(want, "POST", all+"/clinic/endpoints/"+endpoint+"/invoke", `{}`)), &answer))
		return answer.Approval.ID
	}
	state := func(id string) string {
		var answer struct{ State string }
		require.NoError(t, json.Unmarshal([]byte(p.must(200, "GET", "/v1/acme/approvals/"+id, "")), &answer))
		return answer.State
	}
	hold, book := ask("hold", 202), ask("book", 202)
	p.must(200, "POST", "/v1/acme/approvals/"+hold+"/approve", `{}`)
	require.Eventually(t, func() bool { return got.Load() == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, "making", state(hold))
	p.kill()

	p = startProcess(t, data)
	require.Equal(t, "waiting", state(book))
	p.must(200, "POST", "/v1/acme/approvals/"+book+"/approve", `{}`)
	require.Eventually(t, func() bool { return state(book) == "made" }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return state(hold) == "outcome_unknown" }, time.Minute, 50*time.Millisecond)
	require.Equal(t, int32(2), got.Load())
	ask("hold", 409)
	require.Equal(t, int32(2), got.Load())
	require.Equal(t, 0, p.stop())
}
