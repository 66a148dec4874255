package connectors

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// speaker is an upstream below HTTP: it reads the head of a request, then does
// as it likes with the connection.
func speaker(t *testing.T, speak func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Read(make([]byte, 4096))
				speak(conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// hurried makes a call end soon, and fails the test when it does not.
func hurried(t *testing.T, e *domain.Endpoint) {
	t.Helper()
	const limit = 300
	e.TimeoutMS = limit
	start := time.Now()
	t.Cleanup(func() {
		if took := time.Since(start); took > 20*limit*time.Millisecond {
			t.Errorf("a call with a limit of %d ms took %s", limit, took)
		}
	})
}

func TestAnUpstreamThatHangsOrDripsEndsAtTheTimeout(t *testing.T) {
	for name, speak := range map[string]func(net.Conn){
		"hangs":         func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"drips headers": func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") },
		"drips a body":  func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x") },
		"drips gzip":    func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", string(packed(nil))) },
	} {
		t.Run(name, func(t *testing.T) {
			c := calling(speaker(t, speak), nil, func(e *domain.Endpoint) { hurried(t, e) })
			result := failsWith(t, onLoopback(t), c, domain.CallTimeout)
			if !strings.Contains(result.Error, "300") || len(result.Attempts) != 1 || result.Duration < 300*time.Millisecond {
				t.Errorf("got %+v", result)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			p := onLoopback(t).Probe(ctx, c.Integration, nil)
			if strings.HasPrefix(name, "drips a") || name == "drips gzip" {
				if p.Status != domain.Healthy { // the head is all that a probe reads
					t.Errorf("the probe came to %+v", p)
				}
			} else if p.Status != domain.Timeout {
				t.Errorf("the probe came to %+v", p)
			}
		})
	}
}

func drip(c net.Conn, start, drop string) {
	_, err := io.WriteString(c, start)
	for err == nil {
		time.Sleep(5 * time.Millisecond)
		_, err = io.WriteString(c, drop)
	}
}

func packed(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func TestAnAnswerIsCappedAfterUnpacking(t *testing.T) {
	bomb := packed(bytes.Repeat([]byte("x"), 64<<20))
	for name, answer := range map[string]http.HandlerFunc{
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
		"a long answer": func(w http.ResponseWriter, _ *http.Request) {
			for n := 0; n < 64; n++ {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
			}
		},
		"packed emptiness": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for n := 0; n < 3; n++ {
				_, _ = w.Write(bytes.Repeat(packed(nil), 20_000))
			}
		},
	} {
		r, base := onLoopback(t), startUpstream(t, answer)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result := failsWith(t, r, calling(base, nil, nil), domain.CallResponseTooLarge)
		runtime.ReadMemStats(&after)
		raw, isText := result.RawResponse.(string)
		if !result.Truncated || !isText || len(raw) > egress.MaxBody || name != "packed emptiness" && len(raw) != egress.MaxBody || result.StatusCode != 200 {
			t.Errorf("%s: %d bytes are shown, truncated %t", name, len(raw), result.Truncated)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; name == "a bomb" && grown > 32<<20 {
			t.Errorf("%s made us allocate %d MiB", name, grown>>20)
		}
	}
	exact := `"` + strings.Repeat("x", egress.MaxBody-2) + `"`
	if got := succeeds(t, onLoopback(t), calling(answers(t, 200, exact), nil, nil)); got.Truncated || len(got.FinalResult) != egress.MaxBody-2 {
		t.Errorf("an answer of exactly the limit is cut: %d", len(got.FinalResult))
	}
}

func TestASecretCutInTwoByTheCapIsNotShown(t *testing.T) {
	for kept := 4; kept < len(canary); kept++ {
		base := answers(t, 200, strings.Repeat("x", egress.MaxBody-kept)+canary)
		c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
		raw := failsWith(t, onLoopback(t), c, domain.CallResponseTooLarge).RawResponse.(string)
		if strings.Contains(raw, canary[:4]) {
			t.Fatalf("the first %d bytes of the secret are shown", kept)
		}
	}
}

func TestAnUpstreamThatIsNotHTTPIsReported(t *testing.T) {
	for name, row := range map[string]struct {
		speak func(net.Conn)
		code  domain.ErrorCode
	}{
		"endless headers": {func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for n := 0; err == nil; n++ {
				_, err = fmt.Fprintf(c, "X-%d: %s\r\n", n, strings.Repeat("y", 1000))
			}
		}, domain.CallUpstreamError},
		"garbage":     {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n\r\n") }, domain.CallUpstreamError},
		"nothing":     {func(net.Conn) {}, domain.CallUnreachable},
		"a reset":     {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, domain.CallUnreachable},
		"half a body": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") }, domain.CallUnreachable},
		"broken gzip": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8bplain text here")
		}, domain.CallUpstreamError},
		"not offered": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nxx") }, domain.CallUpstreamError},
	} {
		t.Run(name, func(t *testing.T) { failsWith(t, onLoopback(t), calling(speaker(t, row.speak), nil, nil), row.code) })
	}
}

func TestAnUpstreamThatIsNotThereIsUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	result := failsWith(t, onLoopback(t), calling(gone.URL, nil, nil), domain.CallUnreachable)
	if !strings.Contains(result.Error, "refused") || result.StatusCode != 0 || len(result.Attempts) != 1 || result.Attempts[0].Error != result.Error {
		t.Errorf("got %+v", result)
	}
}

func TestARedirectIsTheAnswerAndIsNotFollowed(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect to %s was followed", r.URL)
		}
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = w.Write([]byte(`{"moved":true}`))
	})
	for _, to := range []string{"http://169.254.169.254/latest/meta-data", "/elsewhere", "::not a url::"} {
		c := signedBy(calling(base, map[string]any{"to": to}, nil), domain.Auth{Type: domain.BearerToken}, canary)
		result := failsWith(t, onLoopback(t), c, domain.CallUpstreamError)
		if result.StatusCode != 307 || result.ResponseHeaders.Get("Location") != to || asJSON(t, result.RawResponse) != `{"moved":true}` {
			t.Errorf("got %+v", result)
		}
	}
}

func TestTLSIsVerifiedAndRecent(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`"safe"`)) }))
	t.Cleanup(server.Close)
	untrusted := onLoopback(t)
	failsWith(t, untrusted, calling(server.URL, nil, nil), domain.CallSSLError)
	if p := untrusted.Probe(t.Context(), calling(server.URL, nil, nil).Integration, nil); p.Status != domain.SSLError {
		t.Errorf("the probe came to %+v", p)
	}

	roots := filepath.Join(t.TempDir(), "roots.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(roots, block, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted := registry(t, Config{AllowLoopback: true, CAFile: roots})
	if got := succeeds(t, trusted, calling(server.URL, nil, nil)); got.FinalResult != "safe" {
		t.Errorf("got %+v", got)
	}
	wrongName := strings.Replace(server.URL, "127.0.0.1", "127.0.0.2", 1)
	listener, err := net.Listen("tcp", strings.TrimPrefix(wrongName, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Config.Serve(tls.NewListener(listener, server.TLS)) }()
	failsWith(t, trusted, calling(wrongName, nil, nil), domain.CallSSLError)

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, Certificates: server.TLS.Certificates} // what must be refused
	old.StartTLS()
	t.Cleanup(old.Close)
	failsWith(t, trusted, calling(old.URL, nil, nil), domain.CallSSLError)
}

func TestAnUpstreamThatSpeaksNoTLSIsAnSSLError(t *testing.T) {
	plainHTTP := answers(t, 200, `{}`)
	garbage := speaker(t, func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte{0xff}, 64)) })
	for _, base := range []string{plainHTTP, garbage} {
		c := calling(strings.Replace(base, "http:", "https:", 1), nil, nil)
		failsWith(t, onLoopback(t), c, domain.CallSSLError)
	}
}

func TestACallThatIsCancelledReportsThat(t *testing.T) {
	var called atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	base := startUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		called.Store(true)
		cancel()
		<-r.Context().Done()
	})
	result, err := onLoopback(t).Call(ctx, calling(base, nil, nil))
	if err != nil || result.ErrorCode != domain.CallTimeout || !called.Load() {
		t.Errorf("got %+v, %v", result, err)
	}
}
