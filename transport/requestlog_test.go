package transport_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
)

func TestEachRequestIsLoggedWithItsStatus(t *testing.T) {
	t.Parallel()
	s := serve(t)
	viewer := s.issue("acme", access.View)
	s.send(request{method: "GET", path: "/integrations"}).is(200)
	s.send(request{method: "DELETE", path: "/integrations/crm", key: viewer}).is(403, "forbidden")
	s.send(request{method: "GET", path: "/integrations", key: "none", wrong: true}).is(401)
	s.send(request{method: "GET", path: "/livez", key: "none"}).is(200)
	lines := s.requestLines()
	require.Len(t, lines, 3)
	for n, want := range []string{
		`"method":"GET","route":"/v1/:workspace/integrations","status":200,"duration_ms":[0-9.]+,"request_id":"[^"]+","workspace_id":"acme","key_id":"[^"]+","trace_id":"[0-9a-f]{32}"}$`,
		`"method":"DELETE","route":"/v1/:workspace/integrations/:id","status":403,.*"id":"crm","key_id":"[^"]+","error_code":"forbidden"}$`,
		`"method":"GET","route":"/v1/:workspace/integrations","status":401,.*"workspace_id":"acme","error_code":"[a-z_]+"}$`,
	} {
		require.Regexp(t, want, lines[n])
	}
}

func TestAKeyInAPathIsNotLogged(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.send(request{method: "GET", path: "/integrations/" + s.key}).is(404, "integration_not_found")
	s.send(request{method: "GET", path: "/v1/" + s.key + "/integrations", wrong: true}).is(422)
	require.Len(t, s.requestLines(), 2)
	require.NotContains(t, s.log.String(), s.key)
}

func TestManyRequestsAreLoggedInPart(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for range 400 {
		s.send(request{method: "GET", path: "/integrations", key: "none", wrong: true}).is(401)
	}
	require.Less(t, len(s.requestLines()), 400)
	require.Eventually(t, func() bool { // at the next line that there is room for
		s.send(request{method: "GET", path: "/integrations", key: "none", wrong: true}).is(401)
		return strings.Contains(strings.Join(s.requestLines(), "\n"), `"not_logged":`)
	}, time.Minute, time.Millisecond)
}

var requestLine = regexp.MustCompile(`"level":"INFO","msg":"request",.*`)

func (s *service) requestLines() []string { return requestLine.FindAllString(s.log.String(), -1) }
