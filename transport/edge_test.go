package transport_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/faultproxy"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/transport"
)

func TestAKeyOverItsRateLimitGetsRetryAfter(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Limits = transport.Limits{Read: 2, Write: 0.5, Call: 1} }
	})
	got := s.get("/integrations").is(200)
	require.Equal(t, "4", got.header.Get("X-RateLimit-Limit"))
	require.Equal(t, "3", got.header.Get("X-RateLimit-Remaining"))
	reset, err := strconv.ParseInt(got.header.Get("X-RateLimit-Reset"), 10, 64)
	require.NoError(t, err)
	require.InDelta(t, time.Now().Unix()+1, reset, 30, "a time in Unix seconds")
	require.Equal(t, `"read";q=4;w=2`, got.header.Get("RateLimit-Policy"))
	require.Equal(t, `"read";r=3;t=1`, got.header.Get("RateLimit"))
	var limited reply
	soon(t, func() bool { limited = s.get("/integrations"); return limited.status == 429 })
	limited.is(429, "rate_limited")
	require.Equal(t, "0", limited.header.Get("X-RateLimit-Remaining"))
	require.Equal(t, "1", limited.header.Get("Retry-After"))
	s.send(request{method: "GET", path: "/integrations", key: s.issue("acme", "Integration.view")}).is(200) // another key has its own
	s.post("/integrations", rest("crm", "https://a.example")).is(201)
	slow := s.post("/integrations", rest("crm2", "https://a.example")).is(429)
	require.Equal(t, "2", slow.header.Get("Retry-After"))
	require.Equal(t, uint64(1), s.head())
	s.get("/integrations/health-check").is(200)
	soon(t, func() bool { return s.get("/integrations").status == 200 })
}

func TestEachMessageOfABatchCountsForTheLimits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limits transport.Limits
		size   int
		status int
	}{
		{transport.Limits{Call: 1}, 2, 202},
		{transport.Limits{Call: 1}, 3, 429},
		{transport.Limits{Workspace: 1}, 2, 202},
		{transport.Limits{Workspace: 1}, 3, 429},
	} {
		s := serve(t, func(set *settings) {
			set.adjust = func(api *transport.Server) { api.Limits = row.limits }
		})
		const message = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
		batch := "[" + strings.Repeat(message+",", row.size-1) + message + "]"
		got := s.send(request{method: "POST", path: "/v1/acme/mcp", body: batch, wrong: true, header: map[string]string{
			"Accept": "application/json, text/event-stream", "Content-Type": "application/json",
		}})
		require.Equal(t, row.status, got.status, "%+v: %s", row, got.text)
	}
}

func TestTheKeysOfAWorkspaceShareItsLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Limits = transport.Limits{Read: 1000, Workspace: 0.001} } // one request
	})
	got := s.get("/integrations").is(200)
	require.Equal(t, []string{`"read";r=1999;t=1`, `"workspace";r=0;t=1000`}, got.header.Values("RateLimit"))
	require.Equal(t, []string{`"read";q=2000;w=2`, `"workspace";q=1;w=1000`}, got.header.Values("RateLimit-Policy"))
	limited := s.send(request{method: "GET", path: "/integrations", key: s.issue("acme", "Integration.view")}).is(429, "rate_limited")
	require.Equal(t, "1000", limited.header.Get("Retry-After"))
	require.Equal(t, "1999", limited.header.Get("X-RateLimit-Remaining"), "of the key")
	s.send(request{method: "GET", path: "/v1/globex/integrations", key: s.issue("globex", "Integration.view")}).is(200)
}

func TestOnlyAllowedHostsAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Hosts = []string{"127.0.0.1", "api.example", "::1"} }
	})
	for host, status := range map[string]int{"": 200, "api.example": 200, "API.example:8080": 200, "[::1]:80": 200, "evil.example": 421, "api.example.evil": 421, "localhost": 421} {
		for _, path := range []string{"/integrations", "/openapi.yaml", "/metrics"} {
			header := map[string]string{}
			if host != "" {
				header["Host"] = host
			}
			got := s.send(request{method: "GET", path: path, header: header}).is(status)
			if status == 421 {
				require.Equal(t, "host_not_allowed", got.json["code"])
			}
		}
		s.send(request{method: "GET", path: "/readyz", header: map[string]string{"Host": "10.1.2.3:8080"}}).is(200)
	}
}

func TestPagesOfAnotherOriginAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}} {
		s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: header}).is(403, "cross_origin")
		s.send(request{method: "DELETE", path: "/integrations/crm", header: header}).is(403, "cross_origin")
	}
	s.send(request{method: "OPTIONS", path: "/integrations", key: "none", header: map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}}).is(405)
	s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"Sec-Fetch-Site": "same-origin"}}).is(201)
	require.Equal(t, uint64(1), s.head())
}

func TestAPanicIsAnswered500AndLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) {
			api.Health = func(context.Context, commands.Caller, time.Duration) (domain.HealthReport, error) {
				panic("the sky fell")
			}
		}
	})
	got := s.send(request{method: "GET", path: "/integrations/health-check", header: map[string]string{"X-Request-Id": "fell-1"}}).is(500, "internal")
	require.NotContains(t, got.text, "sky")
	require.Contains(t, s.log.String(), "the sky fell")
	require.Contains(t, s.log.String(), "fell-1")
	require.Contains(t, s.log.String(), "health.go", "the log has the stack")
	s.get("/integrations").is(200)
	require.Contains(t, s.send(request{method: "GET", path: "/metrics"}).text, `status="500"`)
}

func TestACallerWhoLeavesIsNotAnError(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.noProjector = true
		set.adjust = func(api *transport.Server) { api.WriteWait = time.Millisecond }
	})
	at := s.post("/integrations", rest("crm", "https://a.example")).is(201).header.Get("Event-Position")
	ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/acme/integrations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Event-Position", at) // waits for longer than the caller does
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		err = res.Body.Close()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), "the caller disconnected") }, time.Minute, time.Millisecond)
	require.NotContains(t, s.log.String(), `"level":"WARN"`)
	require.NotContains(t, s.log.String(), `"level":"ERROR"`)
}

func TestARequestKeepsItsRequestId(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for given, kept := range map[string]bool{
		"abc-1": true, "a.b:c/d+e=f_": true, strings.Repeat("a", 128): true, "": false, strings.Repeat("a", 129): false, "a b": false, "a\"b": false, "é": false, "<script>": false,
	} {
		for _, path := range []string{"/integrations", "/nothing", "/livez"} {
			got := s.send(request{method: "GET", path: path, header: map[string]string{"X-Request-Id": given}})
			require.Equal(t, kept, got.header.Get("X-Request-Id") == given, "%q", given)
		}
	}
	made := s.send(request{method: "POST", path: "/integrations", body: rest("crm", "https://a.example"), header: map[string]string{"X-Request-Id": "abc-1"}}).is(201)
	require.Equal(t, "abc-1", made.header.Get("X-Request-Id"))
	require.Equal(t, "abc-1", s.get("/integrations/crm/history").at("items", 0, "request_id"))
}

func TestAReadWaitsForThePositionItNames(t *testing.T) {
	t.Parallel()
	s := serve(t)
	at := s.post("/integrations", rest("crm", "https://a.example")).is(201).header.Get("Event-Position")
	for _, path := range []string{"/integrations", "/integrations/crm", "/integrations/health-check"} {
		s.send(request{method: "GET", path: path, header: map[string]string{"Event-Position": at}}).is(200)
		s.send(request{method: "GET", path: path, header: map[string]string{"Event-Position": "0"}}).is(200)
		s.send(request{method: "GET", path: path, header: map[string]string{"Event-Position": "1000"}}).is(422, "position_unknown")
		for _, odd := range []string{"-1", "x", "1.5", "99999999999999999999"} {
			s.send(request{method: "GET", path: path, header: map[string]string{"Event-Position": odd}, wrong: true}).is(422, "position_invalid")
		}
	}
}

// A time limit of the service's own that passes is no internal error: a later request may succeed.
func TestATimeLimitThatPassesIsAFailureOfADependency(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) {
			api.Wait = func(ctx context.Context, _ uint64) error { <-ctx.Done(); return ctx.Err() }
		}
	})
	s.send(request{method: "GET", path: "/integrations", header: map[string]string{"Event-Position": "0"}}).is(503, "timed_out")
}

func TestAReadContinuesOnceThePositionIsShown(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.noProjector = true
		set.adjust = func(api *transport.Server) { api.WriteWait = time.Millisecond }
	})
	at := s.post("/integrations", rest("later", "https://a.example")).is(201).header.Get("Event-Position")
	header := map[string]string{"Event-Position": at}
	behind := s.send(request{method: "GET", path: "/integrations/later", header: header}).is(503, "projection_behind")
	require.Equal(t, "1", behind.header.Get("Retry-After"))
	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	running.Go(func() error { return s.stores.projector.Run(ctx) })
	soon(t, func() bool {
		return s.send(request{method: "GET", path: "/integrations/later", header: header}).status == 200
	})
	stop()
	require.NoError(t, running.Wait())
}

func TestAWriteSucceedsThoughTheReadModelIsBehind(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.noProjector = true
		set.adjust = func(api *transport.Server) { api.WriteWait = 50 * time.Millisecond }
	})
	made := s.post("/integrations", rest("crm", "https://a.example")).is(201)
	at := made.header.Get("Event-Position")
	require.Equal(t, "1", at)
	s.get("/integrations/crm").is(404)
	s.send(request{method: "GET", path: "/integrations/crm", header: map[string]string{"Event-Position": at}}).is(503, "projection_behind")
	require.Equal(t, "Other", s.put("/integrations/crm", members{"display_name": "Other"}).is(200).at("display_name"), "a change is decided on the log")
}

func TestWithoutNATSWritesAreUnavailableAndRecover(t *testing.T) {
	t.Parallel()
	proxy := faultproxy.New(t, natstest.Listen(t))
	nc, err := nats.Connect(proxy.Listen, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s := serve(t, func(set *settings) {
		set.nats = nc
		set.adjust = func(api *transport.Server) { api.WriteWait = time.Second }
	})
	s.create(rest("crm", "https://a.example"))
	ready := s.send(request{method: "GET", path: "/readyz", key: "none"}).is(200)
	require.JSONEq(t, `{"ready": true, "token_renewals": "active", "position": 7, "head": 9, "lag": 2}`, ready.text)
	proxy.Stop()
	soon(t, func() bool { return !nc.IsConnected() })
	s.post("/integrations", rest("new", "https://a.example")).is(503)
	s.put("/integrations/crm", members{"display_name": "Other"}).is(503)
	s.delete("/integrations/crm").is(503)
	s.post("/api-keys", members{"name": "k", "permissions": []string{"Integration.view"}}).is(503, "keys_unavailable")
	unready := s.send(request{method: "GET", path: "/readyz", key: "none"}).is(503)
	require.Equal(t, "1", unready.header.Get("Retry-After"))
	s.send(request{method: "GET", path: "/livez", key: "none"}).is(200)
	s.get("/integrations/crm").is(200) // reads continue
	require.InDelta(t, 4, s.get("/integrations").is(200).at("total"), 0)

	proxy.Start()
	soon(t, func() bool { return s.send(request{method: "GET", path: "/readyz", key: "none"}).status == 200 })
	made := s.post("/integrations", rest("new", "https://a.example")).is(201)
	position, err := strconv.Atoi(made.header.Get("Event-Position"))
	require.NoError(t, err)
	require.Positive(t, position)
	soon(t, func() bool { return s.get("/integrations/new").status == 200 })
}

func TestTheServiceIsNotReadyWithoutItsReadModel(t *testing.T) {
	t.Parallel()
	s := serve(t)
	require.NoError(t, s.stores.read.Close())
	s.send(request{method: "GET", path: "/readyz"}).is(503, "read_store_unavailable")
	s.get("/integrations").is(503, "read_store_unavailable")
	other := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) {
			api.Ready = func(context.Context) (transport.Readiness, error) {
				return transport.Readiness{}, errors.New("secret cause")
			}
		}
	})
	require.NotContains(t, other.send(request{method: "GET", path: "/readyz"}).is(500, "internal").text, "secret cause")
}

func TestADocumentThatWasReadCanBeSentBack(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, with := range map[string]members{
		"plain": {},
		"full": {
			"protocol": "fhir", "health_check": members{"path": "/up"}, "auth": members{"type": "basic", "username": "u", "password_value": "p"},
			"endpoints": []any{endpoint("list")},
		},
		"tools": {"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://mcp.example.com", "mcp_headers": members{"X-A": "h1"}},
	} {
		s.create(rest(name, "https://crm.example.com", with))
		read := s.get("/integrations/" + name).is(200)
		doc := read.at().(members)
		require.Equal(t, read.header.Get("ETag"), s.put("/integrations/"+name, doc).is(200).header.Get("ETag"), "%s: nothing changed", name)
	}
}
