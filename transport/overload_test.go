package transport_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/transport"
)

func TestACallOverCapacityIsRefusedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	const places = 64 // of a gate with almost no memory
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Gate = admission.New(1) }
	})
	var hanging atomic.Int32
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	slow := listen(t, func(http.ResponseWriter, *http.Request) { hanging.Add(1); <-release })
	quick := listen(t, nil)
	s.create(rest("slow", slow.url, members{"endpoints": []any{endpoint("get")}}))
	s.create(rest("quick", quick.url, members{"endpoints": []any{endpoint("get")}}))
	var calls sync.WaitGroup
	for range places {
		calls.Go(func() {
			s.send(request{method: "POST", path: "/integrations/slow/endpoints/get/test"}).is(200)
		})
	}
	soon(t, func() bool { return hanging.Load() == places })
	refused := s.post("/integrations/quick/endpoints/get/test", nil).is(503, "overloaded")
	require.Equal(t, "1", refused.header.Get("Retry-After"))
	require.Empty(t, quick.requests())
	s.get("/integrations").is(200)
	let()
	calls.Wait()
	s.post("/integrations/quick/endpoints/get/test", nil).is(200)
}
