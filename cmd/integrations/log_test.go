package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFirstStartLogsNoProblem(t *testing.T) {
	p := startProcess(t, t.TempDir())
	require.Zero(t, p.stop())
	logs := strings.Join(p.logs, "\n")
	require.Contains(t, logs, "the read model was rebuilt")
	require.NotContains(t, logs, "unusable")
	require.NotContains(t, logs, `"level":"WARN"`)
	require.NotContains(t, logs, "null")
}

// A connection that is kept for the next call belongs to nobody, so nothing that
// comes on it is scrubbed.
func TestWhatAnUpstreamSaysBehindItsAnswerIsNotLogged(t *testing.T) {
	upstream, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = upstream.Close() })
	answered, read := make(chan struct{}), make(chan error, 1)
	go func() {
		conn, err := upstream.Accept()
		if err != nil {
			read <- err
			return
		}
		defer func() { _ = conn.Close() }()
		asked, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			read <- err
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-answered
		_, _ = fmt.Fprintf(conn, "your key was %s", asked.Header.Get("Authorization"))
		_, _ = io.Copy(io.Discard, conn) // until it is closed, because it was read
		read <- nil
	}()

	p := startProcess(t, t.TempDir())
	p.must(http.StatusCreated, http.MethodPost, all, fmt.Sprintf(`{
		"name": "crm", "display_name": "CRM", "base_url": "http://%s", "auth": {"bearer_token_value": "planted-canary"},
		"endpoints": [{"name": "e", "description": "e", "path": "/e", "method": "GET"}], "health_check": {"interval_seconds": 0}
	}`, upstream.Addr()))
	require.Contains(t, p.must(http.StatusOK, http.MethodPost, all+"/crm/endpoints/e/test", `{}`), `"status_code":200`)
	close(answered)
	require.NoError(t, <-read)
	require.Zero(t, p.stop())
	require.NotContains(t, strings.Join(p.logs, "\n"), "canary")
}
