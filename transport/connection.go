package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// ProblemListener returns a listener for net/http whose own refusals, of requests that reach
// no handler, are problem documents: a request that is malformed (400), has too many
// headers (431), an unknown Expect (417), transfer encoding (501) or version (505).
// net/http has no other way to change them.
func ProblemListener(l net.Listener, newID func() string) net.Listener {
	return problemListener{l, newID}
}

type problemListener struct {
	net.Listener
	newID func() string
}

// Accept implements net.Listener.
func (l problemListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	switch conn := conn.(type) {
	case *net.TCPConn:
		return problemConn{conn, conn, l.newID}, err
	case interface{ TCPConn() (*net.TCPConn, bool) }: // of the PROXY protocol
		if tcp, ok := conn.TCPConn(); ok {
			return problemConn{conn.(net.Conn), tcp, l.newID}, err
		}
	}
	return conn, err
}

type problemConn struct {
	net.Conn
	tcp   *net.TCPConn
	newID func() string
}

// CloseWrite is for net/http, which closes the two halves of a connection apart.
func (c problemConn) CloseWrite() error { return c.tcp.CloseWrite() }

// Write implements net.Conn. net/http writes each of its refusals at once.
func (c problemConn) Write(data []byte) (int, error) {
	if status := refusalOf(data); status != 0 {
		if _, err := c.Conn.Write(problemResponse(status, c.newID())); err != nil {
			return 0, err
		}
		return len(data), nil
	}
	return c.Conn.Write(data)
}

var (
	responseStart    = []byte("HTTP/1.1 ")
	refusalHeaders   = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n") // of no response of a handler, which has a Date
	expectationStart = []byte("HTTP/1.1 417 ")
)

// refusalOf returns the status of a refusal that net/http wrote, 0 for anything else.
func refusalOf(data []byte) int {
	rest, ok := bytes.CutPrefix(data, responseStart)
	if !ok || len(rest) < 3 {
		return 0
	}
	_, after, _ := bytes.Cut(rest[:min(len(rest), 256)], []byte("\r\n"))
	if !bytes.HasPrefix(append([]byte("\r\n"), after...), refusalHeaders) && !bytes.HasPrefix(data, expectationStart) {
		return 0
	}
	status, err := strconv.Atoi(string(rest[:3]))
	if err != nil || status < http.StatusBadRequest {
		return 0
	}
	return status
}

// refusals has a code and a sentence for each refusal of net/http.
var refusals = map[int][2]string{
	http.StatusBadRequest:                  {"request_malformed", "the request is not HTTP/1.1: check its first line, its headers and Host"},
	http.StatusExpectationFailed:           {"expectation_unsupported", "the only Expect that is supported is 100-continue"},
	http.StatusRequestHeaderFieldsTooLarge: {"headers_too_large", "the headers of the request are too large"},
	http.StatusNotImplemented:              {"transfer_encoding_unsupported", "the only Transfer-Encoding that is supported is chunked"},
	http.StatusHTTPVersionNotSupported:     {"http_version_unsupported", "use HTTP/1.1"},
}

func problemResponse(status int, id string) []byte {
	refusal, ok := refusals[status]
	if !ok {
		refusal = [2]string{"request_refused", "the request can't be read"}
	}
	body, err := json.Marshal(problem{
		Type: problemType + refusal[0], Title: http.StatusText(status), Status: status,
		Detail: refusal[1], Code: refusal[0], ErrorCode: refusal[0], RequestID: id,
	})
	if err != nil {
		return nil // plain data; this can't happen
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%s: %s\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(body), requestIDHeader, id, body)
}
