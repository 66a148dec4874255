package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seed677028b5/integrations/internal/retryafter"
)

// firstWait is the wait before a batch is sent again, give or take a third.
const firstWait = time.Second

// maxAnswer is how much of an answer of the collector is read.
const maxAnswer = 64 << 10

// client sends spans. It implements otlptrace.Client.
type client struct {
	config Config
	http   *http.Client
}

func newClient(c Config) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http made it
	transport.MaxConnsPerHost = 2
	if c.TLS != nil {
		transport.TLSClientConfig = c.TLS
	}
	return &client{config: c, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers are for this collector
	}}
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client: it sends spans, again while the collector is busy,
// until ctx ends (OTLP 1.10, "OTLP/HTTP").
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // the same bytes as an ExportTraceServiceRequest
	if err != nil {
		return err
	}
	if c.config.Compress {
		if body, err = compressed(body); err != nil {
			return err
		}
	}
	var last error
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		last = c.send(ctx, body)
		return struct{}{}, last
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: firstWait, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: 10 * firstWait}),
		backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil { // last is why
		return last
	}
	return err
}

// send makes one request.
func (c *client) send(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(errors.New("the endpoint is no URL"))
	}
	req.Header = c.config.Header.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.config.Compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) { // its URL may hold a password
			err = of.Err
		}
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return rejectedIn(answer, err)
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		if wait, ok := retryafter.Of(resp.StatusCode, resp.Header, time.Now()); ok && wait > 0 { //nolint:forbidigo // a date is compared with now
			return backoff.RetryAfter(int(wait.Seconds()))
		}
		return fmt.Errorf("the collector answered %d", resp.StatusCode)
	}
	return backoff.Permanent(fmt.Errorf("the collector answered %d", resp.StatusCode))
}

// rejected is the error of spans that a collector took the others of.
type rejected struct{ spans int }

func (r rejected) Error() string { return fmt.Sprintf("the collector rejected %d spans", r.spans) }

// rejectedIn returns how many spans an answer of success rejects, as an error: the field
// partial_success.rejected_spans of an ExportTraceServiceResponse. What can't be read rejects none.
func rejectedIn(answer []byte, err error) error {
	if err != nil {
		return nil //nolint:nilerr // the status is success
	}
	if n, _ := protowire.ConsumeVarint(field(field(answer, 1), 1)); n > 0 && n < 1<<20 {
		return backoff.Permanent(rejected{int(n)})
	}
	return nil
}

// field returns the content of a field of a message; of a number, it is its encoding.
func field(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		n, typ, length := protowire.ConsumeTag(message)
		if length < 0 {
			return nil
		}
		message = message[length:]
		if length = protowire.ConsumeFieldValue(n, typ, message); length < 0 {
			return nil
		}
		if n == number && typ == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(message)
			return content
		}
		if n == number {
			return message[:length]
		}
		message = message[length:]
	}
	return nil
}

func compressed(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Shown returns where spans go, without credentials.
func (c Config) Shown() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	u.RawQuery, u.User = "", nil
	return strings.TrimSuffix(u.String(), "?")
}
