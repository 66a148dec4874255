package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/domain"
)

// hasten takes the patience out of retries.
func hasten(r *Registry) { r.caller.attempts.FirstWait = time.Millisecond }

func TestMCPNothingIsSentToAnotherOrigin(t *testing.T) {
	var seen atomic.Int64
	elsewhere := startUpstream(t, func(http.ResponseWriter, *http.Request) { seen.Add(1) })
	for name, to := range map[string]string{
		"a whole URL": elsewhere + "/message", "no scheme": strings.TrimPrefix(elsewhere, "http:") + "/message",
		"another scheme": strings.Replace(elsewhere, "http:", "https:", 1), "a name for it": strings.Replace(elsewhere, "127.0.0.1", "localhost", 1),
	} {
		at := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, "event: endpoint\ndata: %s\n\n", to)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		c := signedAt(own(domain.SSE, at), domain.Auth{Type: domain.BearerToken}, canary)
		if got := failsWith(t, onLoopback(t), c, domain.CallUpstreamError); !strings.Contains(got.Error, "another origin") {
			t.Errorf("%s: got %s", name, got.Error)
		}
	}
	for _, status := range []int{301, 302, 307, 308} {
		at := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere)
			w.WriteHeader(status)
		})
		for _, transport := range transports {
			c := signedAt(own(transport, at), domain.Auth{Type: domain.BearerToken}, canary)
			if got := failsWith(t, onLoopback(t), c, domain.CallUpstreamError); got.StatusCode != status || !strings.Contains(got.Error, "redirects are not followed") {
				t.Errorf("got %+v", got)
			}
		}
	}
	if seen.Load() != 0 {
		t.Errorf("the other origin saw %d requests", seen.Load())
	}
	isQuiet(t)
}

func TestMCPADeniedDestinationIsNotDialled(t *testing.T) {
	for _, transport := range transports {
		at := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was called") })
		failsWith(t, registry(t, Config{}), own(transport, at), domain.CallBlockedDestination)
		gone := httptest.NewServer(nil)
		gone.Close()
		failsWith(t, onLoopback(t), own(transport, gone.URL), domain.CallUnreachable)
	}
}

func TestMCPAnEndlessAnswerIsCut(t *testing.T) {
	large := func(media, start, more, end string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, err := io.WriteString(w, start)
			for sent := 0; err == nil && sent < 400<<20; sent += len(more) {
				_, err = io.WriteString(w, more)
			}
			_, _ = io.WriteString(w, end)
		}
	}
	filling := strings.Repeat("x", 64<<10)
	for name, row := range map[string]struct {
		transport domain.MCPTransport
		answer    http.HandlerFunc
	}{
		"JSON":          {domain.HTTP, large("application/json", `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`, filling, `"}]}}`)},
		"one event":     {domain.HTTP, large("text/event-stream", "data: ", filling, "\n\n")},
		"many events":   {domain.HTTP, large("text/event-stream", "", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\""+filling+"\"}}\n\n", "")},
		"the endpoint":  {domain.SSE, large("text/event-stream", "event: endpoint\ndata: /", filling, "\n\n")},
		"events of SSE": {domain.SSE, large("text/event-stream", "", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\""+filling+"\"}}\n\n", "")},
		"an error's body": {domain.HTTP, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			large("text/plain", "", filling, "")(w, r)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			at := crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, _ json.RawMessage) { row.answer(w, r) })
			if row.transport == domain.SSE {
				posted := make(chan struct{}, 10)
				at = startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						posted <- struct{}{}
						w.WriteHeader(http.StatusAccepted)
						return
					}
					if name == "events of SSE" {
						w.Header().Set("Content-Type", "text/event-stream")
						_, _ = io.WriteString(w, "event: endpoint\ndata: /m\n\n")
						w.(http.Flusher).Flush()
						<-posted
					}
					row.answer(w, r)
				})
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			failsWith(t, onLoopback(t), own(row.transport, at), domain.CallResponseTooLarge)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 || time.Since(start) > 8*time.Second {
				t.Errorf("it cost %d MiB and %s", grown>>20, time.Since(start))
			}
			isQuiet(t)
		})
	}
}

func TestMCPSilenceEndsAtTheTimeout(t *testing.T) {
	stall := func(_ http.ResponseWriter, r *http.Request) { // which sees its client go once the body is read
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for name, row := range map[string]struct {
		transport domain.MCPTransport
		at        string
	}{
		"on connecting":          {domain.HTTP, speaker(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })},
		"on connecting over SSE": {domain.SSE, speaker(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })},
		"after connecting":       {domain.HTTP, crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, _ json.RawMessage) { stall(w, r) })},
		"in the middle of an answer": {domain.HTTP, crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, _ json.RawMessage) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc"`)
			w.(http.Flusher).Flush()
			stall(w, r)
		})},
		"in the middle of a stream": {domain.HTTP, crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, _ json.RawMessage) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "id: 1\nretry: 1\n\n")
			w.(http.Flusher).Flush()
			stall(w, r)
		})},
		"where the endpoint should be": {domain.SSE, startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			stall(w, r)
		})},
		"behind the endpoint": {domain.SSE, startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "event: endpoint\ndata: /m\n\n")
				w.(http.Flusher).Flush()
			}
			stall(w, r)
		})},
	} {
		t.Run(name, func(t *testing.T) {
			c := own(row.transport, row.at)
			c.Endpoint.TimeoutMS = 500
			start := time.Now()
			got := failsWith(t, onLoopback(t), c, domain.CallTimeout)
			if took := time.Since(start); took > 1500*time.Millisecond || len(got.Attempts) != 1 {
				t.Errorf("it took %s: %+v", took, got)
			}
			isQuiet(t)
		})
	}
}

func TestMCPWhatIsNotMCPIsReported(t *testing.T) {
	respond := func(media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		code   domain.ErrorCode
	}{
		"garbage":             {respond("application/json", `{{{`), domain.CallUpstreamError},
		"another id":          {respond("application/json", `{"jsonrpc":"2.0","id":77,"error":{"code":1,"message":"no"}}`), domain.CallUpstreamError},
		"an empty stream":     {respond("text/event-stream", ""), domain.CallUpstreamError},
		"garbage in a stream": {respond("text/event-stream", "data: {{{\n\n"), domain.CallUpstreamError},
		"a page":              {respond("text/html", "<html>"), domain.CallMisconfigured},
		"nothing":             {respond("application/json", ""), domain.CallUpstreamError},
		"deep":                {respond("application/json", `{"jsonrpc":"2.0","id":1,"result":`+strings.Repeat("[", 200_000)), domain.CallUpstreamError},
		"packed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			respond("application/json", "x")(w, r)
		}, domain.CallUpstreamError},
		"not found": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, domain.CallUpstreamError},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, domain.CallAuthFailed},
	} {
		t.Run(name, func(t *testing.T) {
			at := crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, _ json.RawMessage) { row.answer(w, r) })
			c := own(domain.HTTP, at)
			failsWith(t, onLoopback(t), c, row.code)
			c.Integration.MCPURL = startUpstream(t, row.answer) // from the first word on
			failsWith(t, onLoopback(t), c, row.code)
			if p := onLoopback(t).Probe(t.Context(), tooling(domain.SSE, c.Integration.MCPURL, "", nil).Integration, nil); p.Status == domain.Healthy {
				t.Errorf("the probe came to %+v", p)
			}
			isQuiet(t)
		})
	}
	for name, result := range map[string]string{"null": "null", "a number": "7", "no content": "{}", "odd content": `{"content":[null,{"type":"hologram"}]}`} {
		at := crooked(t, func(w http.ResponseWriter, _ *http.Request, _ string, id json.RawMessage) {
			replies(w, id, `"result":`+result)
		})
		if got := call(t, onLoopback(t), own(domain.HTTP, at)); got.ErrorCode != "" && got.ErrorCode != domain.CallUpstreamError {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestMCPAListWithoutEndIsGivenUp(t *testing.T) {
	var pages atomic.Int64
	at := crooked(t, func(w http.ResponseWriter, _ *http.Request, method string, id json.RawMessage) {
		if method == toolsCall {
			replies(w, id, `"result":{"content":[{"type":"text","text":"called"}]}`)
			return
		}
		replies(w, id, fmt.Sprintf(`"result":{"tools":[null,{"name":"t%d","inputSchema":{"type":"object"}}],"nextCursor":"%d"}`, pages.Add(1), pages.Load()))
	})
	c := tooling(domain.HTTP, at, "tool", nil)
	if got := succeeds(t, onLoopback(t), c); got.FinalResult != "called" || pages.Load() > maxToolPages {
		t.Errorf("after %d pages it came to %+v", pages.Load(), got)
	}
	if p := onLoopback(t).Probe(t.Context(), c.Integration, nil); p.Status != domain.Healthy || !strings.Contains(p.Message, "more than") {
		t.Errorf("the probe came to %+v", p)
	}
}

func TestMCPAListThatLeadsInACircleIsListedOnce(t *testing.T) {
	var pages atomic.Int64
	at := answering(t, func(w http.ResponseWriter, r *http.Request, method string, id json.RawMessage) {
		switch {
		case r.Method != http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case method == "server/discover":
			replies(w, id, `"error":{"code":-32601,"message":"no such method"}`)
		case method == "initialize":
			replies(w, id, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{}},"serverInfo":{"name":"crooked","version":"0"}}`)
		case id == nil:
			w.WriteHeader(http.StatusAccepted)
		case method == toolsCall:
			replies(w, id, `"result":{"content":[{"type":"text","text":"called"}]}`)
		case method == "prompts/list":
			pages.Add(1)
			replies(w, id, `"result":{"prompts":[{"name":"greet"}],"nextCursor":"again"}`)
		default:
			pages.Add(1)
			replies(w, id, `"result":{"tools":[{"name":"one","inputSchema":{"type":"object"}}],"nextCursor":"again"}`)
		}
	})
	c := tooling(domain.HTTP, at, "tool", nil)
	r := onLoopback(t)
	got, err := r.Query(t.Context(), domain.MCPQuery{Integration: c.Integration, Method: domain.ListPrompts})
	if listed, _ := got.Result["prompts"].([]any); err != nil || pages.Swap(0) != 2 || len(listed) != 1 || !got.Truncated {
		t.Errorf("the prompts came to %+v, %v", got, err)
	}
	found, err := r.Discover(t.Context(), c.Integration, nil, domain.Description{})
	if err != nil || pages.Swap(0) != 2 || len(found.Offers) != 1 || !found.Truncated {
		t.Errorf("the tools came to %+v, %v", found, err)
	}
	if got := succeeds(t, r, c); got.FinalResult != "called" || pages.Load() > 2 {
		t.Errorf("after %d pages the call came to %+v", pages.Load(), got)
	}
}

func TestMCPAToolIsOfferedWithASchemaThatAnEndpointMayHave(t *testing.T) {
	at := crooked(t, func(w http.ResponseWriter, _ *http.Request, _ string, id json.RawMessage) {
		replies(w, id, `"result":{"tools":[{"name":"absent"},{"name":"null","inputSchema":null},{"name":"true","inputSchema":true},{"name":"text","inputSchema":{"type":"string"}},
			{"name":"unknown","inputSchema":{"type":"file"}},{"name":"good","inputSchema":{"type":["object"]}},{"name":"no endpoint"}]}`)
	})
	all := offered(discovered(t, tooling(domain.HTTP, at, "tool", nil), domain.Description{}))
	if len(all) != 4 || all["no_endpoint"].Tool != "no endpoint" || string(all["good"].InputSchema) != `{"type":["object"]}` {
		t.Errorf("offered are %v", all)
	}
	for _, name := range []string{"absent", "null"} {
		if o := all[name]; string(o.InputSchema) != `{}` {
			t.Errorf("%s takes %s", name, o.InputSchema)
		}
	}
}

func TestMCPAServerThatAsksWithoutEndIsStopped(t *testing.T) {
	var answered atomic.Int64
	at := crooked(t, func(w http.ResponseWriter, r *http.Request, _ string, id json.RawMessage) {
		if answered.Add(1) > 1 {
			w.WriteHeader(http.StatusAccepted) // what is asked below is answered here
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		var err error
		for n := 0; err == nil && r.Context().Err() == nil; n++ {
			_, err = fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"s%d\",\"method\":\"ping\"}\n\n", n)
			w.(http.Flusher).Flush()
		}
	})
	c := own(domain.HTTP, at)
	c.Endpoint.TimeoutMS = 5000
	got := call(t, onLoopback(t), c)
	if got.ErrorCode != domain.CallUpstreamError && got.ErrorCode != domain.CallResponseTooLarge || answered.Load() > 100 {
		t.Errorf("after %d answers it came to %+v", answered.Load(), got)
	}
	isQuiet(t)
}

func TestMCPAWordOfTheServerShowsNoSecret(t *testing.T) {
	for name, text := range map[string]string{
		"an error":     `"error":{"code":-32000,"message":` + asJSON(t, strings.Repeat("x", mcp.MaxQuote-5)+canary) + `}`,
		"a tool error": `"result":{"isError":true,"content":[{"type":"text","text":` + asJSON(t, strings.Repeat("x", mcp.MaxQuote-5)+canary) + `}]}`,
		"a structure":  `"result":{"content":[],"structuredContent":{` + asJSON(t, canary) + `:[` + asJSON(t, "Bearer "+canary) + `]}}`,
	} {
		at := crooked(t, func(w http.ResponseWriter, _ *http.Request, _ string, id json.RawMessage) { replies(w, id, text) })
		c := signedAt(own(domain.HTTP, at), domain.Auth{Type: domain.BearerToken}, canary)
		if whole := asJSON(t, call(t, onLoopback(t), c)); strings.Contains(whole, canary[:5]) {
			t.Errorf("%s shows the secret: %s", name, whole)
		}
	}
}
