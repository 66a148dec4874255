package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// mostConnections is how many connections a row keeps open to one host.
const mostConnections = 2048

// lab is where it is measured: a folder that goes away, and the processes in
// it, each of which is started by the first row that needs it.
type lab struct {
	Config
	dir      string
	client   *http.Client
	upstream *upstream
	named    atomic.Int64 // names given so far

	small  *service // that is written to
	filled *service // that has Size integrations
	server *child   // a NATS server that is written to
}

// service is a service of the lab.
type service struct {
	*child
	data string
	key  string
}

func newLab(ctx context.Context, c Config) (*lab, error) {
	dir, err := os.MkdirTemp("", "integrations-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{Config: c, dir: dir, client: &http.Client{
		Transport: &http.Transport{MaxIdleConns: mostConnections, MaxIdleConnsPerHost: mostConnections, DisableCompression: true},
	}}
	if l.upstream, err = startUpstream(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

// close ends everything and removes the folder.
func (l *lab) close() error {
	l.client.CloseIdleConnections()
	l.stopFilled()
	if l.small != nil {
		l.small.stop()
	}
	if l.server != nil {
		l.server.stop()
	}
	_ = l.upstream.server.Close()
	return os.RemoveAll(l.dir)
}

func (l *lab) logf(format string, v ...any) {
	_, _ = fmt.Fprintf(l.Progress, format+"\n", v...)
}

// path returns a folder of the lab, which is made.
func (l *lab) path(name string) (string, error) {
	dir := filepath.Join(l.dir, name)
	return dir, os.MkdirAll(dir, 0o700)
}

// serve starts a service on a folder as it would be run, but without limits of
// rates and without probes that nobody asks for.
func (l *lab) serve(ctx context.Context, data string) (*service, error) {
	c, err := l.start(ctx, "--log-format=json", "serve", "--listen=127.0.0.1:0", "--data="+data, "--egress-allow-loopback",
		"--rate-read=0", "--rate-write=0", "--rate-call=0", "--probe-interval=0")
	if err != nil {
		return nil, fmt.Errorf("start the service: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(data, "operator.key")) //nolint:gosec // our own folder
	if err != nil {
		c.stop()
		return nil, err
	}
	return &service{child: c, data: data, key: strings.TrimSpace(string(key))}, nil
}

// stand starts a NATS server on a folder.
func (l *lab) stand(ctx context.Context, data string) (*child, error) {
	return l.start(ctx, LimitCommand, "--kind="+natsKind, "--data="+data)
}

// theSmall returns the service that is written to.
func (l *lab) theSmall(ctx context.Context) (*service, error) {
	if l.small != nil {
		return l.small, nil
	}
	data, err := l.path("small")
	if err == nil {
		l.small, err = l.serve(ctx, data)
	}
	return l.small, err
}

// theServer returns the NATS server that is written to.
func (l *lab) theServer(ctx context.Context) (*child, error) {
	if l.server != nil {
		return l.server, nil
	}
	data, err := l.path("server")
	if err == nil {
		l.server, err = l.stand(ctx, data)
	}
	return l.server, err
}

// theFilled returns the service that has Size integrations.
func (l *lab) theFilled(ctx context.Context) (*service, error) {
	if l.filled != nil {
		return l.filled, nil
	}
	var err error
	l.filled, err = l.serveFilled(ctx, "filled", filling{integrations: l.Size, each: inEach})
	return l.filled, err
}

// serveFilled starts a service on a folder of its own, which is filled the first time.
func (l *lab) serveFilled(ctx context.Context, name string, with filling) (*service, error) {
	data := filepath.Join(l.dir, name)
	if _, err := os.Stat(data); err != nil {
		l.logf("writing a log of %d events", with.integrations*max(1, with.versions))
		since := time.Now()
		if err := l.fill(ctx, data, with); err != nil {
			return nil, fmt.Errorf("fill a log: %w", err)
		}
		l.logf("written in %s; starting the service on it", time.Since(since).Round(time.Millisecond))
	}
	return l.serve(ctx, data)
}

// stopFilled ends the service that has Size integrations; its folder stays.
func (l *lab) stopFilled() {
	if l.filled != nil {
		l.filled.stop()
		l.filled = nil
	}
}

// connect connects to the NATS server inside a service.
func (s *service) connect() (*nats.Conn, error) {
	address, err := os.ReadFile(filepath.Join(s.data, "nats.url"))
	if err != nil {
		return nil, err
	}
	return nats.Connect(strings.TrimSpace(string(address)))
}

// name returns a name that was not given before.
func (l *lab) name() string { return fmt.Sprintf("bench-%d", l.named.Add(1)) }

// body is a configuration of about 1 KB, without a name for one that has it
// already.
func body(name, display, baseURL string) string {
	if name != "" {
		name = fmt.Sprintf(`"name": %q, `, name)
	}
	return fmt.Sprintf(`{%s"display_name": %q, "base_url": %q, "endpoints": [{"name": "list_slots", "description": %q, "method": "GET", "path": "/slots/{day}", "input_schema": %s}]}`,
		name, display, baseURL, padding, schema)
}

// do makes a request that has to be answered with a status, and reads its
// answer to the end.
func (l *lab) do(ctx context.Context, s *service, want int, method, path, body string) error {
	return l.exchange(ctx, s, want, method, path, body, io.Discard)
}

// into is do with an answer in JSON.
func (l *lab) into(ctx context.Context, s *service, want int, method, path, body string, answer any) error {
	var text strings.Builder
	if err := l.exchange(ctx, s, want, method, path, body, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text.String()), answer)
}

func (l *lab) exchange(ctx context.Context, s *service, want int, method, path, body string, answer io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream") // MCP wants both
	}
	return l.send(req, want, answer)
}

func (l *lab) send(req *http.Request, want int, answer io.Writer) error {
	res, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
		return fmt.Errorf("%s %s was answered %d: %s", req.Method, req.URL.Path, res.StatusCode, text)
	}
	_, err = io.Copy(answer, res.Body)
	return err
}
